// SPDX-License-Identifier: Apache-2.0

package dht

import "slices"

// Density tells how many nodes there are, from how near those are that look-ups find:
// of n nodes the k-th nearest to anything is about k/n of all keys away. Each place
// that was looked for counts once, as it was found last. The zero value is ready.
type Density struct {
	seen []sighting
	next int
}

type sighting struct {
	target Key
	nodes  float64
}

// Observe takes in whom a look-up found, nearest first.
func (d *Density) Observe(target Key, found []Key) {
	if len(found) < Replicas { // everybody: too few to be outnumbered
		return
	}
	far := away(target, found[len(found)-1])
	if far == 0 {
		return
	}
	s := sighting{target, float64(len(found)) / far}
	if i := slices.IndexFunc(d.seen, func(s sighting) bool { return s.target == target }); i >= 0 {
		d.seen[i] = s
		return
	}
	if len(d.seen) < densitySamples {
		d.seen = append(d.seen, s)
		return
	}
	d.seen[d.next] = s
	d.next = (d.next + 1) % densitySamples
}

// Nodes estimates how many there are, 0 before there is enough to say. Three of four
// places seem to have as many about them or more: who grinds keys can make a place look
// full, but none look empty, so that it takes most of those that a node looks for, and
// not the few that are attacked, to have it believe in a larger network.
func (d *Density) Nodes() float64 {
	if len(d.seen) < densityLeast {
		return 0
	}
	all := make([]float64, len(d.seen))
	for i, s := range d.seen {
		all[i] = s.nodes
	}
	slices.Sort(all)
	return all[len(all)/4]
}
