// SPDX-License-Identifier: Apache-2.0

package leasetest_test

import (
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

func TestDrawing(t *testing.T) {
	tree := leasetest.Draw(t, "cap(n1 cpu=4 @150) -> { t3(alice cpu=2 1h..2h) -> r5(cpu=1 slice=web), t4(bob) }")
	if len(tree) != 4 {
		t.Fatalf("%d statements", len(tree))
	}
	alice, redeem, bob := tree[1].Statement.(*lease.Ticket), tree[2].Statement.(*lease.Redeem), tree[3].Statement.(*lease.Ticket)
	if alice.Slot != 3 || alice.Holder != leasetest.Who("alice") || alice.Issuer != leasetest.Who("n1") || alice.Degree != 150 ||
		alice.From != leasetest.Epoch+3600 || alice.Parent != tree[0].ID {
		t.Errorf("ticket %+v", alice)
	}
	if redeem.Slot != 5 || redeem.Slice != "web" || redeem.Issuer != alice.Holder || redeem.Term() != alice.Term() || redeem.RSet[lease.CPU] != 1 {
		t.Errorf("redeem %+v", redeem)
	}
	if bob.Slot != 4 || bob.RSet[lease.CPU] != 4 || tree[3].Up != tree[0] || len(tree[3].Chain()) != 2 {
		t.Errorf("ticket %+v", bob)
	}
	for _, d := range tree {
		if _, err := d.Signed.Open(); err != nil {
			t.Errorf("%s: %v", d.Kind(), err)
		}
	}
}

func TestDrawingOfWhatComesLater(t *testing.T) {
	tree := leasetest.Draw(t, "grant(alice bob verbs=9 sequence=7 slice=) -> ask(bob n1 cpu=1 slice=web owner=alice weight=3 exclusive=1)"+
		" -> { lease(grace=60s mechanism=share) -> revoke(at=2m said=1m text=why), reject(oversubscribed about=0 lacks=memory instant=1h attached=x) }")
	grant, held := tree[0].Statement.(*lease.Grant), tree[2].Statement.(*lease.Lease)
	if grant.Slice != "" || grant.Verbs != lease.VerbRun|lease.VerbLogs || grant.Sequence != 7 || grant.Holder != leasetest.Who("bob") {
		t.Errorf("grant %+v", grant)
	}
	if held.Owner != leasetest.Who("alice") || held.Class != lease.Evictable || held.Weight != 3 || held.Alone != 1 || held.Grace != 60 {
		t.Errorf("lease %+v", held)
	}
	if r := tree[3].Statement.(*lease.Revoke); r.At != leasetest.Epoch+120 || r.Said != leasetest.Epoch+60 || r.Reason != "why" {
		t.Errorf("revoke %+v", r)
	}
	if r := tree[4].Statement.(*lease.Reject); r.About != tree[0].ID || r.Lacks != uint8(lease.Memory)+1 || r.Instant != leasetest.Epoch+3600 || r.Attached.IsZero() {
		t.Errorf("reject %+v", r)
	}
	for _, d := range tree {
		if _, err := d.Signed.Open(); err != nil {
			t.Errorf("%s: %v", d.Kind(), err)
		}
	}
}

func TestDrawingErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                             "column 1: want a statement",
		"cap(n1":                       "want a statement",
		"cup(n1)":                      `cup: no such statement`,
		"cap(n1 cpu=4) -> ":            "column 18: want a statement",
		"cap(n1 cpu=4) t0(a)":          `column 15: unexpected "t0(a)"`,
		"cap(n1) -> { t0(a) t1(b) }":   "want , or }",
		"cap(n1 gpu=1)":                "unknown resource",
		"cap(n1 cpu=x)":                "malformed",
		"cap(n1 1h..x)":                "invalid duration",
		"cap(n1 @many)":                "invalid syntax",
		"cap(n1) -> t0(a parent=5)":    "position of an earlier statement",
		"cap(n1) -> t0(a b)":           "no such statement",
		"ask(a n1) -> reject(because)": `no refusal "because"`,
		"ask(a n1 port=80)":            "want tcp/80:8080",
		"grant(a b verbs=65536)":       "out of range",
		"ask(a n1 class=soft)":         "invalid syntax",
	} {
		if _, err := leasetest.Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}
