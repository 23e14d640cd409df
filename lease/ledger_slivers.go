// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"slices"
)

// sliverBook finds the leases of a sliver, and the slivers of a slice, without going
// through all that is kept: slivers ask for both as often as they like.
type sliverBook struct {
	leases map[string][]*booking   // by sliver, as they were committed
	live   map[sliceKey][]*booking // by slice, what has not ended
}

type sliceKey struct {
	owner Principal
	label string
}

func (b *booking) slicekey() sliceKey { return sliceKey{b.owner, b.slice} }

func newSliverBook() sliverBook {
	return sliverBook{leases: make(map[string][]*booking), live: make(map[sliceKey][]*booking)}
}

// enter takes a lease that was just committed.
func (s *sliverBook) enter(b *booking) {
	name := SliverName(b.sliver)
	s.leases[name] = append(s.leases[name], b)
	s.live[b.slicekey()] = append(s.live[b.slicekey()], b)
}

// end follows a lease that is over.
func (s *sliverBook) end(b *booking) { without(s.live, b.slicekey(), b) }

// forget drops a lease that is kept no more.
func (s *sliverBook) forget(b *booking) { without(s.leases, SliverName(b.sliver), b) }

func without[K comparable](lists map[K][]*booking, key K, b *booking) {
	if list := slices.DeleteFunc(lists[key], func(o *booking) bool { return o == b }); len(list) > 0 {
		lists[key] = list
	} else {
		delete(lists, key)
	}
}

// of returns the lease under which a sliver runs, or else its newest one; nil: none.
func (s *sliverBook) of(name string, now int64) (found *booking) {
	for _, b := range slices.Backward(s.leases[name]) { // that which is in force is one of the last two
		if b.state.Live() && b.begun(now) {
			return b
		}
		if found == nil || found.seq < b.seq {
			found = b
		}
	}
	return found
}

// Sliver returns the entry under which a sliver runs, or else its newest one.
func (l *Ledger) Sliver(name string) (Entry, bool) {
	if b := l.slivers.of(name, l.now); b != nil {
		return b.entry(), true
	}
	return Entry{}, false
}

// Slivers returns what [Ledger.Sliver] does of each sliver of a slice that has a live
// lease, oldest first.
func (l *Ledger) Slivers(owner Principal, label string) []Entry {
	var list []*booking
	for _, b := range l.slivers.live[sliceKey{owner, label}] {
		if l.slivers.of(SliverName(b.sliver), l.now) == b {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *booking) int { return cmp.Compare(a.seq, b.seq) })
	out := make([]Entry, len(list))
	for i, b := range list {
		out[i] = b.entry()
	}
	return out
}
