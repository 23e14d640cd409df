// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"

	"croft/gossip"
)

// Beside the mesh, a node tells a few others each second which messages it got of
// late, and gives those that they ask for: so a message passes by a part of the
// mesh that is broken, a second later.

// recent is a message that a node got, and in which of its rounds.
type recent struct {
	message *message
	round   uint64
}

// remember has the node tell others of a message, in the rounds that come.
func (n *peer) remember(m *message) {
	if n.sharded != nil {
		return // whom a topic of an area has beside its mesh is not modelled
	}
	n.recent = append(n.recent, recent{m, n.round})
	if !n.beating {
		n.beating = true
		n.later(gossip.LazyEvery, n.beat)
	}
}

// beat is a round. There is none while there is nothing to tell.
func (n *peer) beat() {
	n.round++
	n.recent = slices.DeleteFunc(n.recent, func(r recent) bool {
		return r.round+gossip.LazyRounds < n.round || r.message.seen == nil
	})
	if n.beating = len(n.recent) > 0; !n.beating {
		return
	}
	told := make([]*message, len(n.recent))
	for i, r := range n.recent {
		told[i] = r.message
	}
	for range gossip.Lazy {
		if to := n.w.pickAny(n); to >= 0 {
			n.name(to, told)
		}
	}
	n.later(gossip.LazyEvery, n.beat)
}

// name tells another of messages, who asks for those that it lacks.
func (n *peer) name(to int, told []*message) {
	w := n.w
	n.count(kindLazy, ids(len(told)))
	w.send(n.index, to, ids(len(told)), func() {
		o := w.nodes[to]
		if !o.up {
			return
		}
		var lacks []*message
		for _, m := range told {
			if m.seen != nil && !m.seen.has(to) {
				lacks = append(lacks, m)
			}
		}
		if len(lacks) == 0 {
			return
		}
		o.count(kindLazy, ids(len(lacks)))
		w.send(to, n.index, ids(len(lacks)), func() {
			for _, m := range lacks {
				if n.up && m.seen != nil {
					n.count(kindOffers, len(m.bytes)+envelope)
					n.spend(w.figures.gossiped, len(m.bytes)+envelope)
					w.carry(m, n.index, to)
				}
			}
		})
	})
}

// ids is what so many ids take.
func ids(n int) int { return n*(gossip.IDSize+2) + envelope }

// pickAny draws a node to which n may tell something, no neighbour of its; -1 if
// none is found.
func (w *World) pickAny(n *peer) int {
	for range 16 {
		i := w.rng.IntN(len(w.nodes))
		if o := w.nodes[i]; o != n && o.up && !w.cut(n.index, i) && !slices.Contains(n.neighbour, int32(i)) {
			return i
		}
	}
	return -1
}
