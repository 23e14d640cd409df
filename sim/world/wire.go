// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
)

// wires is the model of the network: distances of the profile, and what faults do
// to them. Messages travel by connections that repeat what is lost, so that loss
// shows as delay, until a connection is given up.
type wires struct {
	side  []uint32 // bit for each partition in force: who is in it
	cuts  uint32   // the bits of those
	loss  []struck[*scenario.Loss]
	delay []struck[*scenario.Delay]
	twice []struck[*scenario.Duplicate]
	late  []struck[*scenario.Reorder]
}

// struck is a fault in force and whom it strikes.
type struck[F any] struct {
	fault F
	whom  []bool // nil: everybody
}

func (s struck[F]) strikes(a, b int) bool { return s.whom == nil || s.whom[a] || s.whom[b] }

// cut reports whether nothing passes between two nodes.
func (w *World) cut(a, b int) bool {
	return w.wires.side[a] != w.wires.side[b] || w.nodes[a].hole || w.nodes[b].hole
}

// travel returns how long a message takes, and whether it arrives.
func (w *World) travel(a, b int) (time.Duration, bool) {
	n := &w.wires
	if w.cut(a, b) {
		w.figures.lost.Add(w.now, 1)
		return 0, false
	}
	way := w.profile.OneWay(a, b)
	d := way + time.Duration(w.rng.Int64N(int64(way/50+20_000))) // queues on the way
	for _, f := range n.delay {
		if f.strikes(a, b) {
			d += f.fault.By
			if f.fault.Jitter > 0 {
				d += time.Duration(w.rng.Int64N(int64(f.fault.Jitter)))
			}
		}
	}
	for _, f := range n.loss {
		if !f.strikes(a, b) {
			continue
		}
		for try, wait := 0, 2*way+200*time.Millisecond; w.rng.Float64() < f.fault.Rate; try, wait = try+1, 2*wait {
			if try == maxTries {
				w.figures.lost.Add(w.now, 1)
				return 0, false
			}
			w.figures.repeated.Add(w.now, 1)
			d += wait
		}
	}
	for _, f := range n.late {
		if f.strikes(a, b) && w.rng.Float64() < f.fault.Rate {
			w.figures.heldBack.Add(w.now, 1)
			d += f.fault.By
		}
	}
	return d, true
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
func (w *World) again(a, b int) (again bool) {
	for _, f := range w.wires.twice {
		if f.strikes(a, b) && w.rng.Float64() < f.fault.Rate {
			w.figures.doubled.Add(w.now, 1)
			again = true
		}
	}
	return again
}
