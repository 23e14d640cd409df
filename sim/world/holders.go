// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"

	"croft/dht"
)

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

// confirm asks the nearest few whether anybody is nearer by now, as dht/kad does.
func (n *peer) confirm(target dht.Key, before []dht.Key, done func(still bool, asks int)) {
	t := n.w.tables
	if len(before) < dht.ConfirmAsks {
		n.later(0, func() { done(false, 0) })
		return
	}
	var nodes []int32
	for _, k := range before {
		nodes = append(nodes, int32(t.node(k)))
	}
	found := t.contacts(nodes)
	still := func(met []dht.Contact) bool {
		return dht.Still(target, found, slices.DeleteFunc(met, func(c dht.Contact) bool { return c.Key == t.ids[n.index] }))
	}
	if !still(t.contacts(t.closest(n.index, target, len(before)))) {
		n.later(0, func() { done(false, 0) })
		return
	}
	over, heard := false, 0
	end := func(still bool) {
		if !over {
			over = true
			done(still, dht.ConfirmAsks)
		}
	}
	for _, whom := range before[:dht.ConfirmAsks] {
		n.request(t.node(whom), findNode, func(o *peer) (func(), int) {
			known := o.answerSeek(target)
			return func() {
				if heard++; !still(slices.Clone(known)) {
					end(false)
				} else if heard == dht.ConfirmAsks {
					end(true)
				}
			}, 40 + nodeInfo*len(known)
		})
	}
	n.later(dht.PatienceCap, func() { end(false) })
}
