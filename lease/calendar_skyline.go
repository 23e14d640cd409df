// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"sort"
)

// A skyline is the per-resource maximum of terms that are laid over each other:
// what a slot's redeems weigh, and what a lease and the hold that is to replace
// it are charged together. Each step's level holds until the next step; before
// the first and after the last it is nothing.
type skyline []step

type step struct {
	at    int64
	level RSet
}

// level returns the height at an instant.
func (k skyline) level(at int64) RSet {
	if i := k.after(at); i > 0 {
		return k[i-1].level
	}
	return RSet{}
}

// rise returns by how much the skyline would grow if s were laid over it, as
// spans that do not overlap.
func (k skyline) rise(t Term, s RSet) (spans []span) {
	for at := t.From; at < t.Until; {
		until := t.Until
		if i := k.after(at); i < len(k) {
			until = min(until, k[i].at)
		}
		if grow := s.Minus(k.level(at)); !grow.IsZero() {
			spans = append(spans, span{Term{at, until}, grow})
		}
		at = until
	}
	return spans
}

// raise lays s over the skyline, and forgets what it was before now.
func (k skyline) raise(t Term, s RSet, now int64) skyline {
	k = k.cut(t.Until).cut(t.From)
	for i := range k {
		if t.Covers(k[i].at) {
			k[i].level = k[i].level.Max(s)
		}
	}
	if past := k.after(now); past > 1 {
		k = slices.Delete(k, 0, past-1)
	}
	return k
}

// cut makes an instant a step without changing any level.
func (k skyline) cut(at int64) skyline {
	i := k.after(at)
	if i > 0 && k[i-1].at == at {
		return k
	}
	return slices.Insert(k, i, step{at, k.level(at)})
}

func (k skyline) after(at int64) int {
	return sort.Search(len(k), func(i int) bool { return k[i].at > at })
}
