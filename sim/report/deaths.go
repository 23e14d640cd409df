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
	out  map[int]map[int]bool // by node: whom it leaves out, dead or not
}

// death is a node that died, and who knew it.
type death struct {
	node    int
	at      time.Duration
	knew    map[int]bool
	noticed int // of them, who leave it out
	over    bool
}

// Overlooked is the age of a death that counts as not noticed if it is not yet.
const Overlooked = time.Minute

// Deaths begins the books.
func (r *Recorder) Deaths() *Deaths {
	return &Deaths{r: r, took: r.Measure("detection", ""), out: map[int]map[int]bool{}}
}

// Died notes that a node died, whom those knew.
func (d *Deaths) Died(at time.Duration, node int, knew []int) {
	d.Left(at, node)
	now := &death{node: node, at: at, knew: map[int]bool{}}
	for _, k := range knew {
		if slices.ContainsFunc(d.open, func(o *death) bool { return o.node == k }) {
			continue // of several that die at once
		}
		now.knew[k] = true
		if d.out[k][node] {
			now.noticed++
		}
	}
	d.open = append(d.open, now)
}

// Left notes that a node is no observer of others any more, and what it knew is lost.
func (d *Deaths) Left(at time.Duration, node int) {
	for _, o := range d.open {
		if o.knew[node] {
			delete(o.knew, node)
			if d.out[node][o.node] {
				o.noticed--
			}
			d.settle(at, o)
		}
	}
	delete(d.out, node)
}

// Stands notes that a node leaves another out, or does no more.
func (d *Deaths) Stands(at time.Duration, by, node int, out bool) {
	if d.out[by][node] == out {
		return
	}
	change := -1
	if out {
		change = 1
		if d.out[by] == nil {
			d.out[by] = map[int]bool{}
		}
		d.out[by][node] = true
	} else {
		delete(d.out[by], node)
	}
	for _, o := range d.open {
		if o.node == node && o.knew[by] {
			o.noticed += change
			d.settle(at, o)
		}
	}
}

// settle notes the instant at which a death is noticed.
func (d *Deaths) settle(at time.Duration, o *death) {
	if !o.over && len(o.knew) > 0 && o.noticed*100 >= len(o.knew)*99 {
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
