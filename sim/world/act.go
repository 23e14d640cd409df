// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"
	"time"

	"croft/lease/offer"
	"croft/sim/scenario"
)

// act does one step of the scenario.
func (w *World) act(step scenario.Step) {
	w.note(-1, "at %s", step)
	switch do := step.Do.(type) {
	case *scenario.Slice:
		w.slice(do)
	case *scenario.Renew:
		w.renew(do)
	case *scenario.Stop:
		w.stop(do)
	case *scenario.Find:
		w.find(do)
	case *scenario.Publish:
		w.speak(do)
	case *scenario.Change:
		for _, n := range w.choose(do.Who, w.present) {
			n.said++
			n.offer(true)
		}
	case *scenario.Leave:
		for _, n := range w.choose(do.Who, w.present) {
			n.leave()
		}
	case *scenario.Loss, *scenario.Delay, *scenario.Duplicate, *scenario.Reorder:
		w.during(do.(scenario.Fault))
	case *scenario.Partition:
		w.partition(do)
	case *scenario.Kill:
		for _, n := range w.choose(do.Who, w.present) {
			n.crash(do.Power)
			if do.For > 0 {
				w.in(do.For, n.join)
			}
		}
	case *scenario.Restart:
		for _, n := range w.choose(do.Who, w.present) {
			n.crash(do.Power)
			w.in(do.After, n.join)
		}
	case *scenario.Skew:
		for _, n := range w.choose(do.Who, func(n *peer) bool { return !n.left }) {
			if w.rng.IntN(2) == 0 {
				n.skew += do.By
			} else {
				n.skew -= do.By
			}
			w.note(n.index, "skew %s", n.skew)
			if n.up {
				n.wake()
			}
		}
	case *scenario.Hostile:
		w.corrupt(do)
	case *scenario.BlackHole:
		chosen := w.choose(do.Who, w.present)
		for _, n := range chosen {
			n.hole = true
		}
		if do.For > 0 {
			w.in(do.For, func() {
				for _, n := range chosen {
					n.hole = false
				}
			})
		}
	}
}

func (w *World) present(n *peer) bool { return n.up && n.ready && n.evil == nil }

// choose draws nodes among those that may be drawn.
func (w *World) choose(who scenario.Who, may func(*peer) bool) (chosen []*peer) {
	for _, n := range w.nodes {
		if may(n) && who.May(n.index, w.profile.Place(n.index).Region) {
			chosen = append(chosen, n)
		}
	}
	want := who.Of(len(chosen))
	w.rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	chosen = chosen[:want]
	slices.SortFunc(chosen, func(a, b *peer) int { return a.index - b.index })
	return chosen
}

// during has a fault of the wires in force for its time.
func (w *World) during(fault scenario.Fault) {
	var whom []bool
	if who := fault.Whom(); !who.Everybody() {
		whom = make([]bool, len(w.nodes))
		for _, n := range w.choose(who, func(n *peer) bool { return !n.left }) {
			whom[n.index] = true
		}
	}
	end := w.wires.faults.Begin(fault, whom)
	if d := fault.Lasts(); d > 0 {
		w.in(d, end)
	}
}

// partition cuts nodes off. Links across it fall silent; when it heals, those who
// lost some find new ones.
func (w *World) partition(do *scenario.Partition) {
	bit := ^w.wires.cuts & (w.wires.cuts + 1) // the lowest that is free; cannot sees to it that one is
	w.wires.cuts |= bit
	inside := w.choose(do.Who, func(n *peer) bool { return !n.left })
	for _, n := range inside {
		w.wires.side[n.index] |= bit
	}
	for _, n := range w.nodes {
		for _, i := range n.neighbour {
			if o := w.nodes[i]; w.cut(n.index, int(i)) {
				n.later(noticeAfter, func() {
					if w.cut(n.index, o.index) {
						n.unlink(o.index)
						o.unlink(n.index)
						n.graft(degreeLow)
					}
				})
			}
		}
	}
	if do.For == 0 {
		return
	}
	w.in(do.For, func() {
		w.note(-1, "healed")
		w.wires.cuts &^= bit
		for _, n := range inside {
			w.wires.side[n.index] &^= bit
			n.later(time.Duration(w.rng.Int64N(int64(noticeAfter))), func() { n.graft(min(len(n.neighbour)+2, degreeHigh)) })
		}
	})
}

// leave has a node go with a last word.
func (n *peer) leave() {
	n.sequence++
	now := n.wall().Unix()
	n.publish(offer.Offer{Node: n.principal(), Sequence: max(n.sequence, uint64(n.wall().UnixMilli())), Made: now,
		Until: now + offer.MaxValid, Closed: true})
	n.left = true
	if n.indexed == nil {
		n.end()
		return
	}
	n.later(withdrawLimit, n.end) // or when the index has been told
}
