// SPDX-License-Identifier: Apache-2.0

package world

import (
	"math"
	"slices"
	"time"

	"croft/gossip/alive"
	"croft/lease/offer"
)

// death is a node that was killed, and who has noticed of those that were there.
type death struct {
	node      int
	at        time.Duration
	observers int // who were up, knew it and are still up
	noticed   int // of them, those that leave it out
	over      bool
}

// overlooked is the age of a death that counts as not noticed if it is not yet.
const overlooked = time.Minute

// died opens the book on a death. Who dies is no observer of others any more.
func (w *World) died(n *peer) {
	for _, d := range w.deaths {
		if d.observes(n, w) {
			d.observers--
			if w.absent(n, d.node) {
				d.noticed--
			}
			w.settle(d)
		}
	}
	d := &death{node: n.index, at: w.now}
	for _, o := range w.nodes {
		if o != n && d.observes(o, w) {
			d.observers++
			if w.absent(o, n.index) {
				d.noticed++
			}
		}
	}
	w.deaths = append(w.deaths, d)
}

// observes reports whether a node was up and knew of the other when that died.
func (d *death) observes(n *peer, w *World) bool {
	return !d.over && n.up && n.evil == nil && n.index != d.node && n.since <= d.at && n.ready && n.view.Has(w.nodes[d.node].principal())
}

func (w *World) absent(n *peer, node int) bool {
	o, ok := n.view.Offer(w.nodes[node].principal())
	return ok && n.live.watch.Standing(&o.Offer) == alive.Absent
}

// settle notes the instant at which 99 of 100 leave a dead node out.
func (w *World) settle(d *death) {
	if !d.over && d.observers > 0 && d.noticed*100 >= d.observers*99 {
		d.over = true
		w.figures.detection.Add(w.now, int64(w.now-d.at))
	}
}

// stands hears that a node is taken for something else by another.
func (w *World) stands(by *peer, node int, as alive.Standing) {
	if o := w.nodes[node]; as == alive.Absent && o.up && o.evil == nil && !w.cut(by.index, node) {
		w.figures.leftOut.Add(w.now, 1)
	}
	for _, d := range w.deaths {
		if d.node != node || !d.observes(by, w) {
			continue
		}
		if as == alive.Absent {
			d.noticed++
		} else if by.live.was[node] {
			d.noticed--
		}
		w.settle(d)
	}
	if as == alive.Absent {
		by.live.was[node] = true
	} else {
		delete(by.live.was, node)
	}
}

// suspected hears that a node suspects another.
func (w *World) suspected(by *peer, node int) {
	w.figures.told.Add(w.now, 1)
	if w.nodes[node].up && w.nodes[node].evil == nil && !w.cut(by.index, node) {
		w.figures.falsely.Add(w.now, 1)
	}
}

// returned closes the book on who is back: a death that nobody could notice in time
// is none.
func (w *World) returned(n *peer) {
	w.deaths = slices.DeleteFunc(w.deaths, func(d *death) bool {
		if d.node == n.index {
			w.unnoticed(d)
			return true
		}
		return false
	})
}

// unnoticed counts a death that should have been noticed by now, with the time that
// it has gone unnoticed.
func (w *World) unnoticed(d *death) {
	if !d.over && d.observers > 0 && w.now-d.at >= overlooked {
		w.figures.detection.Add(w.now, int64(w.now-d.at))
		w.figures.Counter("deaths", "not noticed").Add(w.now, 1)
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
	for _, d := range w.deaths {
		w.unnoticed(d)
	}
	w.figures.Set("suspicions", "", "count", float64(w.figures.told.Total()))
	w.figures.Set("suspicions", "", "false", float64(w.figures.falsely.Total()))
	w.coordinates()
}
