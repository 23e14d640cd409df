// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/role"
)

// Whoever adds a role has to say how its tenants are asked without effect, or that they
// cannot be.
func TestEveryRoleHasASample(t *testing.T) {
	for _, job := range role.All() {
		if _, ok := samples[job.Name]; job.Version > 0 && !ok {
			t.Errorf("%s has no sample", job.Name)
		}
	}
}

// stands is the footing that a test gives.
type stands struct {
	contacts, neighbours, relays []stander
	founders                     map[lease.Principal]bool
}

func (s stands) Contacts(context.Context) []stander   { return s.contacts }
func (s stands) Neighbours(context.Context) []stander { return s.neighbours }
func (s stands) Relays(context.Context) []stander     { return s.relays }
func (s stands) Founders() map[lease.Principal]bool   { return s.founders }
func (s stands) Protocols() []string                  { return []string{"/croft/x/1"} }

func (h *hired) depends(name string) (d api.Dependence) {
	h.t.Helper()
	list, err := h.d.Node().Obsolescence.Obsolescence(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range list {
		if d.Name == name {
			return d
		}
	}
	h.t.Fatalf("no %s in %+v", name, list)
	return d
}

// Who has a role is found by asking, and who would have it next too; neither counts for
// or against anybody.
func TestWhoHasARoleIsAsked(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		if d := h.depends("discovery"); d.Holder != "builtin" || d.Founders != api.ShareAll || !d.Lost {
			t.Errorf("built in alone: %+v", d)
		}
		hang := false
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			if hang {
				return nil
			}
			return []string{line(h.built.offers[0]), `{"id":%d,"done":{}}`}
		})
		h.decide("try", h.slice)
		if d := h.depends("discovery"); d.Holder != "builtin" || !d.Lost {
			t.Errorf("a challenger has nothing: %+v", d)
		}
		h.decide("promote", h.slice)
		if d := h.depends("discovery"); d.Holder != h.slice || d.Founders != api.ShareNone || d.Lost || !strings.HasPrefix(d.Without, "builtin, which answered") {
			t.Errorf("handed over: %+v", d)
		}
		h.d.deps.Footing = stands{founders: map[lease.Principal]bool{leasetest.Who("alice"): true}}
		if d := h.depends("discovery"); d.Holder != h.slice || d.Founders != api.ShareAll {
			t.Errorf("to a founder: %+v", d)
		}
		h.d.deps.Footing = nil
		hang = true
		began := time.Now()
		if d := h.depends("discovery"); !strings.HasPrefix(d.Holder, "builtin instead: ron@") || !strings.HasSuffix(d.Holder, "was silent") || d.Founders != api.ShareAll || !d.Lost {
			t.Errorf("hangs: %+v", d)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if got := h.tenant(h.slice); got.Asked != 0 || got.Failed != 0 || got.Resting != 0 {
			t.Errorf("it counts: %+v", got)
		}
	})
}

// Of nodes those count who answer: without the founders' there are others, or none.
func TestOnWhomANodeStands(t *testing.T) {
	theirs := map[lease.Principal]bool{leasetest.Who("f1"): true, leasetest.Who("f2"): true}
	up := func(names ...string) (list []stander) {
		for _, n := range names {
			name, gone := strings.CutSuffix(n, "-")
			list = append(list, stander{node: leasetest.Who(name), there: !gone})
		}
		return list
	}
	for what, c := range map[string]struct {
		list     []stander
		founders api.Share
		lost     bool
		holder   string
	}{
		"nobody":                {nil, api.ShareNone, true, "0 of 0 answer; 0 are founders'"},
		"all are gone":          {up("f1-", "a-"), api.ShareNone, true, "0 of 2 answer; 0 are founders'"},
		"founders alone":        {up("f1", "f2", "a-"), api.ShareAll, true, "2 of 3 answer; 2 are founders'"},
		"both":                  {up("f1", "a", "b"), api.ShareSome, false, "3 of 3 answer; 1 are founders'"},
		"the founders are gone": {up("f1-", "f2-", "a", "b"), api.ShareNone, false, "2 of 4 answer; 0 are founders'"},
	} {
		d := standing("contacts", "first contacts", c.list, theirs, "who are left", "nobody is left")
		if d.Founders != c.founders || d.Lost != c.lost || d.Holder != c.holder || c.lost != (d.Without == "nobody is left") {
			t.Errorf("%s: %+v", what, d)
		}
	}
}

// Contacts and neighbours are dialled: who has gone is not there.
func TestStandersAreAsked(t *testing.T) {
	a, b, gone := newJoiner(t, "a", t.TempDir(), true), newJoiner(t, "b", t.TempDir(), true), newJoiner(t, "gone", t.TempDir(), true)
	c := newJoiner(t, "c", t.TempDir(), true, a.at(), b.at(), gone.at())
	if err := c.host.Connect(t.Context(), infosOf(mustContacts(t, a.at()))[0]); err != nil {
		t.Fatal(err)
	}
	gone.host.Close()
	got := map[lease.Principal]stander{}
	for _, s := range c.first.Contacts(t.Context()) {
		got[s.node] = s
	}
	if len(got) != 3 || !got[leasetest.Who("a")].there || !got[leasetest.Who("b")].there || got[leasetest.Who("gone")].there {
		t.Errorf("%+v", got)
	}
	if !got[leasetest.Who("a")].speaks || len(c.first.Protocols()) == 0 {
		t.Errorf("a speaks %v: %+v", c.first.Protocols(), got)
	}
	if n := c.first.Neighbours(t.Context()); len(n) != 2 || !n[0].there {
		t.Errorf("neighbours: %+v", n)
	}
	if f := c.first.Founders(); len(f) != 3 || !f[leasetest.Who("gone")] {
		t.Errorf("founders by whom it joined: %v", f)
	}
	if f := founders(Config{Founders: []lease.Principal{leasetest.Who("x")}}, c.first.given); len(f) != 1 {
		t.Errorf("founders as the owner says: %v", f)
	}
}
