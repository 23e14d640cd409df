// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"
)

// Deaths keeps the books of nodes that died, and of who noticed. It makes the figure
// detection: the time from a death to the instant at which 99 of 100 of those that knew
// the node, and live, leave it out.
type Deaths struct {
	r    *Recorder
	took *Measure
	open []*death
}

// death is a node that died, and who knew it: whether he leaves it out.
type death struct {
	node int
	at   time.Duration
	knew map[int]bool
	over bool
}

// Overlooked is the age of a death that counts as not noticed if it is not yet.
const Overlooked = time.Minute

// Deaths begins the books.
func (r *Recorder) Deaths() *Deaths { return &Deaths{r: r, took: r.Measure("detection", "")} }

// Died notes that a node died, whom those knew. Who is dead is no observer of others
// any more.
func (d *Deaths) Died(at time.Duration, node int, knew []int) {
	for _, o := range d.open {
		if _, known := o.knew[node]; known {
			delete(o.knew, node)
			d.settle(at, o)
		}
	}
	now := &death{node: node, at: at, knew: map[int]bool{}}
	for _, k := range knew {
		if !slices.ContainsFunc(d.open, func(o *death) bool { return o.node == k }) { // of several that die at once
			now.knew[k] = false
		}
	}
	d.open = append(d.open, now)
}

// Stands notes that a node leaves another out, or does no more.
func (d *Deaths) Stands(at time.Duration, by, node int, out bool) {
	for _, o := range d.open {
		if _, known := o.knew[by]; known && o.node == node {
			o.knew[by] = out
			d.settle(at, o)
		}
	}
}

// settle notes the instant at which a death is noticed.
func (d *Deaths) settle(at time.Duration, o *death) {
	noticed := 0
	for _, out := range o.knew {
		if out {
			noticed++
		}
	}
	if !o.over && len(o.knew) > 0 && noticed*100 >= len(o.knew)*99 {
		o.over = true
		d.took.Add(at, int64(at-o.at))
	}
}

// Returned closes the book on a node that is back: what nobody could notice in time is
// none.
func (d *Deaths) Returned(at time.Duration, node int) {
	d.open = slices.DeleteFunc(d.open, func(o *death) bool {
		if o.node == node {
			d.unnoticed(at, o)
			return true
		}
		return false
	})
}

// Close counts what should have been noticed by now, with the time until now.
func (d *Deaths) Close(at time.Duration) {
	for _, o := range d.open {
		d.unnoticed(at, o)
	}
	d.open = nil
}

func (d *Deaths) unnoticed(at time.Duration, o *death) {
	if !o.over && len(o.knew) > 0 && at-o.at >= Overlooked {
		d.took.Add(at, int64(at-o.at))
		d.r.Counter("deaths", "not noticed").Add(at, 1)
	}
}
