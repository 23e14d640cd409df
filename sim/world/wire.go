// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/sim/report"
	"croft/sim/wires"
)

// links is the model of the network: distances of the profile, who can reach whom,
// and what faults do to messages.
type links struct {
	side   []uint32 // bit for each partition in force: who is in it
	cuts   uint32   // the bits of those
	faults wires.Faults
}

// cut reports whether nothing passes between two nodes.
func (w *World) cut(a, b int) bool {
	return w.wires.side[a] != w.wires.side[b] || w.nodes[a].hole || w.nodes[b].hole
}

// travel returns how long a message takes, and whether it arrives.
func (w *World) travel(a, b int) (time.Duration, bool) {
	if w.cut(a, b) {
		w.figures.lost.Add(w.now, 1)
		return 0, false
	}
	sent, arrives := w.wires.faults.Send(a, b, w.profile.OneWay(a, b), w.rng)
	if sent.Repeated > 0 {
		w.figures.repeated.Add(w.now, uint64(sent.Repeated))
	}
	if sent.Held > 0 {
		w.figures.heldBack.Add(w.now, uint64(sent.Held))
	}
	if !arrives {
		w.figures.lost.Add(w.now, 1)
	}
	return sent.Takes, arrives
}

// spend counts a message of so many bytes that a node sends.
func (n *peer) spend(sort *report.Counter, bytes int) {
	n.sent += uint64(bytes)
	sort.Add(n.w.now, 1)
	n.w.figures.sent.Add(n.w.now, uint64(bytes))
}

// send has do happen at b, after a message of so many bytes from a, perhaps never.
// Whether b is there to take it is for do to see.
func (w *World) send(a, b, bytes int, do func()) {
	w.nodes[a].spend(w.figures.asked, bytes)
	w.arrive(a, b, do)
}

// repeatable is send of a request that whoever makes it may make again, or of its
// answer: it may come twice. A pull is none: its stream gives each page once, and
// a page that came twice would ask for two more.
func (w *World) repeatable(a, b, bytes int, do func()) {
	w.send(a, b, bytes, do)
	if w.again(a, b) {
		w.arrive(a, b, do)
	}
}

func (w *World) arrive(a, b int, do func()) {
	if d, ok := w.travel(a, b); ok {
		w.in(d+handling, do)
	}
}

// again draws whether a message from a to b comes once more.
func (w *World) again(a, b int) bool {
	copies := w.wires.faults.Again(a, b, w.rng)
	if copies > 0 {
		w.figures.doubled.Add(w.now, uint64(copies))
	}
	return copies > 0
}
