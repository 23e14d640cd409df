// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"testing"
)

// checkSlivers holds what is found of slivers and slices against all that is kept.
func (h *history) checkSlivers(now int64) {
	named := map[string]*booking{}
	for _, b := range h.l.byAge() {
		if b.lease.IsZero() {
			continue
		}
		name := SliverName(b.sliver)
		if was := named[name]; was == nil || !(was.state.Live() && was.begun(now)) {
			named[name] = b
		}
	}
	slivers := map[sliceKey][]string{}
	for _, b := range h.l.byAge() {
		if b.lease.IsZero() {
			continue
		}
		if e, ok := h.l.Sliver(SliverName(b.sliver)); !ok || e.Lease != named[e.Sliver].lease {
			h.rt.Fatalf("at %d, of %s: %+v, not %s", now, SliverName(b.sliver), e, named[e.Sliver].lease)
		}
		if named[SliverName(b.sliver)] == b && b.state.Live() {
			slivers[b.slicekey()] = append(slivers[b.slicekey()], b.lease.String())
		}
	}
	if len(h.l.slivers.live) != len(slivers) {
		h.rt.Fatalf("at %d %d slices live, %d are found", now, len(slivers), len(h.l.slivers.live))
	}
	for key, want := range slivers {
		var got []string
		for _, e := range h.l.Slivers(key.owner, key.label) {
			got = append(got, e.Lease.String())
		}
		if !slices.Equal(got, want) {
			h.rt.Fatalf("at %d slice %s has %v, found are %v", now, key.label, want, got)
		}
	}
	if len(h.l.slivers.leases) != len(named) {
		h.rt.Fatalf("at %d %d slivers are kept, and %d found", now, len(named), len(h.l.slivers.leases))
	}
}

// A sliver whose lease is continued later has two for a while, and is one sliver.
func TestASliverIsNamedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.run(w.ask("alice", 100, 600))
	e, _ := w.l.Lease(first)
	then := w.lease(w.ask("alice", 100, 600, func(a *Ask) { a.Replaces, a.From, a.Until = first, a.From+300, a.Until+300 }))
	w.run(w.ask("alice", 100, 600, func(a *Ask) { a.Slice = "other" }))
	if list := w.l.Slivers(e.Owner, e.Slice); len(list) != 1 || list[0].Lease != first {
		t.Errorf("before: %+v", list)
	}
	w.after(301)
	if list := w.l.Slivers(e.Owner, e.Slice); len(list) != 1 || list[0].Lease != then || list[0].Sliver != e.Sliver {
		t.Errorf("after: %+v", list)
	}
	if list := w.l.Slivers(keyOf("bob").Principal(), e.Slice); len(list) != 0 {
		t.Errorf("bob's: %+v", list)
	}
}
