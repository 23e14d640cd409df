// SPDX-License-Identifier: Apache-2.0

package world

import "croft/dht"

// holders looks up the peers nearest to a key of the index, as dht/kad does it for who
// reads a bucket or registers there. It says what that took to ask.
func (n *peer) holders(want dht.Route, done func(found dht.Routed, asks int)) {
	t := n.w.tables
	var before []int32
	for _, k := range want.Before {
		before = append(before, int32(t.node(k)))
	}
	var k *walk
	k = n.walkAs(dht.LookupConfig{Target: keyspace(want.Key[:]), Closest: dht.Replicas, Calm: want.Calm, Before: t.contacts(before)}, func([]int32) {
		done(dht.Routed{Key: want.Key, Peers: k.ids, Failed: len(k.ids) == 0, Cut: k.cut}, k.asks())
	})
}
