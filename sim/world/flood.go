// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math/rand/v2"
	"slices"
)

// floods is to how many of its connections a node sends a message of its own, beside
// its mesh: GossipSub floods what its own host publishes. A daemon has more
// connections than that in a large network, and they are far from all of it.
const floods = 16

// flood sends a message of a node's own to those that it is connected to, drawn once
// for its life. The topics of areas have few beside the mesh.
func (n *peer) flood(m *message) {
	w := n.w
	if n.sharded != nil {
		return
	}
	rng := rand.New(rand.NewPCG(w.scn.Seed, uint64(n.index)<<32|uint64(n.life)))
	var to []int
	for range 2 * floods {
		i := rng.IntN(len(w.nodes))
		if len(to)+len(n.neighbour) < floods && i != n.index && w.nodes[i].up && !slices.Contains(to, i) && !slices.Contains(n.neighbour, int32(i)) {
			to = append(to, i)
		}
	}
	for _, i := range to {
		n.count(kindOffers, len(m.bytes)+envelope)
		n.spend(w.figures.gossiped, len(m.bytes)+envelope)
		w.carry(m, n.index, i)
	}
}
