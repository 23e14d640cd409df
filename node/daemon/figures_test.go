// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
)

func TestFiguresAreOfOnesOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice, bob := m.boot(), newPerson(t, "alice"), newPerson(t, "bob")
		hers := lease.SliverName(alice.run(l, "a", time.Hour))
		his := lease.SliverName(bob.run(l, "b", time.Hour))
		m.settle()
		n := l.d.Node()
		list, err := n.Slivers.Figures(t.Context(), alice.caller(), "")
		if err != nil || len(list) != 1 || list[0].Sliver != hers || list[0].OutRate != 1e6 || list[0].InRate != 0 {
			t.Fatalf("alice sees %+v, %v", list, err)
		}
		if f := list[0].Flows; f.Out != 3 || f.In != 1 || f.RefusedOut != 5 || f.NoPort != 7 {
			t.Errorf("flows %+v", f)
		}
		if list, err := n.Slivers.Figures(t.Context(), alice.caller(), "other"); err != nil || len(list) != 0 {
			t.Errorf("of another label: %+v, %v", list, err)
		}
		if _, err := n.Slivers.Figures(t.Context(), alice.caller(), "not a label"); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%v, want %v", err, api.ErrBadRequest)
		}
		all, err := n.Owner.AllFigures(t.Context())
		if err != nil || len(all) != 2 || all[0].Sliver == all[1].Sliver || all[0].Sliver != hers && all[0].Sliver != his {
			t.Errorf("the owner sees %+v, %v", all, err)
		}
	})
}

// Of another's slice one needs a verb that lets one read what it did.
func TestFiguresByGrant(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Hour)
		m.settle()
		g := &grants{t: t, m: m}
		for _, c := range []struct {
			verb lease.Verbs
			ok   bool
		}{{lease.VerbLogs, true}, {lease.VerbAudit, true}, {lease.VerbExec, false}} {
			by := api.Caller{Principal: leasetest.Who("bob"), Authority: g.grant("bob", "ron", c.verb)}
			list, err := l.d.Node().Slivers.Figures(t.Context(), by, "")
			if c.ok && (err != nil || len(list) != 1) || !c.ok && !errors.Is(err, api.ErrNotGranted) {
				t.Errorf("by %s: %d slivers, %v", c.verb, len(list), err)
			}
		}
	})
}
