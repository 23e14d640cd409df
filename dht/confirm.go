// SPDX-License-Identifier: Apache-2.0

package dht

import "slices"

// ConfirmAsks is how many of those that a look-up found say whether they still are
// the nearest: a liar among them can but have it stay so, until the others go.
const ConfirmAsks = 3

// Still reports whether those found, nearest first, would be found yet by who also
// meets these others, if they answer: none of them is nearer than the last but whom the
// rule of so many of one network leaves out. Whoever is farther does not matter.
func Still(target Key, found, met []Contact) bool {
	if len(found) == 0 {
		return false
	}
	last := found[len(found)-1].Key
	var all []*peer
	known := map[Key]bool{}
	for _, c := range found {
		known[c.Key] = true
		all = append(all, &peer{Contact: c, distance: distance(c.Key, target)})
	}
	for _, c := range met {
		if !known[c.Key] && Nearer(target, c.Key, last) {
			known[c.Key] = true
			all = append(all, &peer{Contact: c, distance: distance(c.Key, target)})
		}
	}
	slices.SortFunc(all, nearer)
	var picks crowd
	return !slices.ContainsFunc(picks.nearest(all, len(found), mostOf(len(found))), func(p *peer) bool {
		return !slices.ContainsFunc(found, func(c Contact) bool { return c.Key == p.Key })
	})
}
