// SPDX-License-Identifier: Apache-2.0

package leasetest_test

import (
	"bytes"
	"crypto/sha256"
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
		"":                                       "column 1: want a statement",
		"cap(n1":                                 "want a statement",
		"cup(n1)":                                `cup: no such statement`,
		"cap(n1 cpu=4) -> ":                      "column 18: want a statement",
		"cap(n1 cpu=4) t0(a)":                    `column 15: unexpected "t0(a)"`,
		"cap(n1) -> { t0(a) t1(b) }":             "want , or }",
		"cap(n1 gpu=1)":                          "unknown resource",
		"cap(n1 cpu=x)":                          "malformed",
		"cap(n1 1h..x)":                          "invalid duration",
		"cap(n1 @many)":                          "invalid syntax",
		"cap(n1) -> t0(a parent=5)":              "position of an earlier statement",
		"cap(n1) -> t0(a b)":                     "no such statement",
		"ask(a n1) -> reject(because)":           `no refusal "because"`,
		"ask(a n1 port=80)":                      "want tcp/80:8080",
		"grant(a b verbs=65536)":                 "want run, renew",
		"ask(a n1 class=soft)":                   "invalid syntax",
		"ask(a n1 weight=65536)":                 "out of range",
		"ask(a n1) -> lease(grace=x)":            "invalid duration",
		"ask(a n1) -> reject(lacks=x)":           "unknown resource",
		"ask(a n1) -> reject(about=9)":           "position of an earlier statement",
		"ask(a n1) -> reject(fills=0)":           "comes after about=",
		"ask(a n1) -> reject(proves=unfair:0:0)": "no kind of proof",
	} {
		if _, err := leasetest.Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}

func TestDrawnProofs(t *testing.T) {
	tree := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(alice) -> { t0(bob cpu=3), t1(carol cpu=2), r2(cpu=1) -> lease() -> revoke(at=2m said=1m), r3() -> reject(exhausted at=3m about=1 lacks=cpu instant=1h fills=5) }")
	p, err := tree.Proof("over:1:2,3:cpu@1h")
	if err != nil || p.K != lease.ProofOver || len(p.Chain) != 2 || len(p.Evidence) != 2 || p.Resource != lease.CPU || p.At != leasetest.Epoch+3600 {
		t.Errorf("%+v, %v", p, err)
	}
	reject := tree.Last()
	f, err := lease.ParseFilling(reject.Attachment)
	if err != nil || len(f) != 1 || len(f[0]) != 2 || !bytes.Equal(f[0][1], tree[5].Signed.Bytes()) {
		t.Errorf("filling %x, %v", f, err)
	}
	if st := reject.Statement.(*lease.Reject); st.About != tree[1].ID || st.Lacks != 1 || st.Attached != sha256.Sum256(reject.Attachment) {
		t.Errorf("reject %+v", st)
	}
	if p, err = tree.Proof("unfilled:7:8,6"); err != nil || len(p.Evidence) != 3 || !bytes.Equal(p.Evidence[1], reject.Attachment) {
		t.Errorf("%d, %v", len(p.Evidence), err)
	}
	a, _ := tree.Proof("twice:1:2,3")
	b, _ := tree.Proof("twice!:1:2,3")
	if !bytes.Equal(a.Evidence[0], b.Evidence[1]) || !bytes.Equal(a.Evidence[1], b.Evidence[0]) {
		t.Error("the exclamation mark turns nothing around")
	}
	for line, want := range map[string]string{
		"twice":               "want kind:chain:evidence",
		"twice:9:1,2":         "position of a statement",
		"twice:1:1,x":         "position of a statement",
		"over:1:2,3:cpu":      "want resource@instant",
		"over:1:2,3:gpu@1h":   "unknown resource",
		"over:1:2,3:cpu@soon": "invalid duration",
	} {
		if _, err := tree.Proof(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}
