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
	k = n.walkAs(dht.LookupConfig{Target: keyspace(want.Key[:]), Closest: dht.Replicas, Calm: want.Calm, Before: t.contacts(before)}, func(nearest []int32) {
		found := dht.Routed{Key: want.Key, Failed: len(nearest) == 0, Cut: k.cut}
		for _, p := range nearest {
			found.Peers = append(found.Peers, t.ids[p])
		}
		done(found, k.asks())
	})
}
