// SPDX-License-Identifier: Apache-2.0

package world

import "time"

// Whom an offer is to reach: everybody who was there when it was published, and where
// not everybody is to know everybody, all who by their own count are to know its node,
// on whatever topics they are.

// looked is of how many messages, about, all are asked whether they are to have them,
// where views are partial. It is a sample: to ask everybody about everything would
// take longer than the run.
const looked = 2000

// due reports whether a node is to have a message.
func (w *World) due(m *message, n *peer) bool {
	if !n.up || n.evil != nil || n.meshed >= m.at || n.index == m.origin { // others are told of what there was before they came
		return false
	}
	if n.sharded == nil {
		return true
	}
	p := w.areas.places[m.origin]
	return n.sharded.crowd.Wants(p.area, p.rank)
}

// retire forgets messages of that age, and counts whom they reached of those whom
// they were to.
func (w *World) retire(age time.Duration) {
	each := uint64(1)
	if w.areas != nil {
		each = uint64(max(len(w.nodes)/looked, 1))
	}
	for len(w.messages) > 0 && w.now-w.messages[0].at >= age {
		m := w.messages[0]
		w.messages = w.messages[1:]
		if !m.foul && m.number%each == 0 {
			for _, n := range w.nodes {
				if w.due(m, n) {
					w.figures.due++
					if m.seen.has(n.index) {
						w.figures.reached++
					}
				}
			}
		}
		m.seen = nil
		if w.hostile != nil {
			delete(w.hostile.sent, &m.bytes[0])
		}
		w.aged = append(w.aged, m)
	}
	for len(w.aged) > 0 && w.now-w.aged[0].at >= openFor {
		delete(w.opened, &w.aged[0].bytes[0])
		w.aged = w.aged[1:]
	}
}
