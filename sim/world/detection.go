// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math"
	"slices"

	"croft/gossip/alive"
	"croft/lease/offer"
)

// died opens the book on a death: those that are there, keep the rules and knew the
// node should notice.
func (w *World) died(n *peer) {
	var knew []int
	for _, o := range w.nodes {
		if o != n && o.up && o.evil == nil && o.ready && o.view.Has(n.principal()) {
			knew = append(knew, o.index)
		}
	}
	w.figures.deaths.Died(w.now, n.index, knew)
}

// stands hears that a node is taken for something else by another.
func (w *World) stands(by *peer, node int, as alive.Standing) {
	out := as == alive.Absent
	if o := w.nodes[node]; out && o.up && o.evil == nil && !w.cut(by.index, node) {
		w.figures.leftOut.Add(w.now, 1)
	}
	w.figures.deaths.Stands(w.now, by.index, node, out)
}

// suspected hears that a node suspects another.
func (w *World) suspected(by *peer, node int) {
	w.figures.told.Add(w.now, 1)
	if w.nodes[node].up && w.nodes[node].evil == nil && !w.cut(by.index, node) {
		w.figures.falsely.Add(w.now, 1)
	}
}

// coordinates sets how far off estimates of round-trip times are: between pairs of
// nodes drawn at random, by the own coordinate of the one, and of the other that
// which its offer states.
func (w *World) coordinates() {
	var off []float64
	n := len(w.nodes)
	for k := range min(n*n, 20_000) {
		a, b := w.nodes[k%n], w.nodes[(k+1+k/n*7919)%n] // no draw: the history has ended
		if a == b || !a.up || !b.up || a.evil != nil || b.evil != nil {
			continue
		}
		mine, settled := a.live.place.Coordinate()
		o, ok := a.view.Offer(b.principal())
		if !settled || !ok || o.Coordinate == nil {
			continue
		}
		real := 2 * (w.profile.OneWay(a.index, b.index) + handling)
		off = append(off, math.Abs(float64(offer.Estimate(&mine, o.Coordinate)-real))/float64(real))
	}
	if len(off) == 0 {
		return
	}
	slices.Sort(off)
	for _, q := range []struct {
		stat string
		q    float64
	}{{"p50", .5}, {"p90", .9}, {"p95", .95}, {"p99", .99}, {"max", 1}} {
		w.figures.Set("coordinate", "", q.stat, off[min(int(q.q*float64(len(off))), len(off)-1)])
	}
	sum := 0.0
	for _, x := range off {
		sum += x
	}
	w.figures.Set("coordinate", "", "mean", sum/float64(len(off)))
}

// closePresence adds up what there is to say of who was there.
func (w *World) closePresence() {
	w.figures.deaths.Close(w.now)
	w.figures.Set("suspicions", "", "count", float64(w.figures.told.Total()))
	w.figures.Set("suspicions", "", "false", float64(w.figures.falsely.Total()))
	w.coordinates()
}
