// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"

	"croft/dht"
)

// confirmAsks is how many of those that a look-up found say whether they still are the
// nearest, as with dht/kad.
const confirmAsks = 3

// holders finds the peers nearest to a key of the index: those of before if they still
// are, as dht/kad confirms it, and else by a look-up. It says what that took to ask.
func (n *peer) holders(want dht.Route, done func(nearest []dht.Key, asks int)) {
	t, target := n.w.tables, keyspace(want.Key[:])
	look := func(asks int) {
		var k *walk
		k = n.walk(target, dht.Replicas, func(nearest []int32) {
			var peers []dht.Key
			for _, p := range nearest {
				peers = append(peers, t.ids[p])
			}
			done(peers, asks+k.asks())
		})
	}
	n.confirm(target, want.Before, func(still bool, asks int) {
		if still {
			done(want.Before, asks)
		} else {
			look(asks)
		}
	})
}

// confirm asks the nearest few whether anybody is nearer by now.
func (n *peer) confirm(target dht.Key, before []dht.Key, done func(still bool, asks int)) {
	t := n.w.tables
	if len(before) < confirmAsks {
		n.later(0, func() { done(false, 0) })
		return
	}
	last := before[len(before)-1]
	nearer := func(known []int32) bool {
		return slices.ContainsFunc(known, func(i int32) bool {
			id := t.ids[i]
			return int(i) != n.index && dht.Nearer(target, id, last) && !slices.Contains(before, id)
		})
	}
	if nearer(t.closest(n.index, target, len(before))) {
		n.later(0, func() { done(false, 0) })
		return
	}
	over, heard := false, 0
	end := func(still bool) {
		if !over {
			over = true
			done(still, confirmAsks)
		}
	}
	for _, whom := range before[:confirmAsks] {
		n.request(t.node(whom), findNode, func(o *peer) (func(), int) {
			known := t.closest(o.index, target, dht.LookupClosest)
			return func() {
				if heard++; nearer(known) {
					end(false)
				} else if heard == confirmAsks {
					end(true)
				}
			}, 40 + nodeInfo*len(known)
		})
	}
	n.later(dht.PatienceCap, func() { end(false) })
}
