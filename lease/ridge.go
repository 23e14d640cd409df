// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"slices"
	"sort"
)

// A ridge is what one slot weighs over time: the maximum, for each resource, of
// the children laid over each other. Each level holds until the next step; before
// the first and after the last it is nothing. A skyline says the same of amounts
// that fit into 64 bits.
type ridge []struct {
	at    int64
	level weights
}

type weights [NumResources]Weight

func (k *child) weights() (w weights) {
	for r := range w {
		w[r] = k.weight(Resource(r))
	}
	return w
}

func (g ridge) after(at int64) int {
	return sort.Search(len(g), func(i int) bool { return g[i].at > at })
}

func (g ridge) level(at int64) (w weights) {
	if i := g.after(at); i > 0 {
		w = g[i-1].level
	}
	return w
}

// cut makes an instant a step without changing any level.
func (g ridge) cut(at int64) ridge {
	i := g.after(at)
	if i > 0 && g[i-1].at == at {
		return g
	}
	g = slices.Insert(g, i, struct {
		at    int64
		level weights
	}{at: at})
	if i > 0 {
		g[i].level = g[i-1].level
	}
	return g
}

// raise lays a child over the ridge.
func (g ridge) raise(k *child) ridge {
	g = g.cut(k.term.Until).cut(k.term.From)
	w := k.weights()
	for i := g.after(k.term.From) - 1; i < len(g) && g[i].at < k.term.Until; i++ {
		for r := range w {
			g[i].level[r] = g[i].level[r].max(w[r])
		}
	}
	return g
}

// sweep visits every instant of the term at which the ridges together change,
// the first of the term among them, in order, until visit returns false. What the
// slots weigh together is only good until visit returns.
func sweep(ridges *[Slots]ridge, t Term, visit func(at int64, sum *weights) bool) {
	type event struct {
		at   int64
		slot int
		step int
	}
	var events []event
	var sum weights
	var now [Slots]*weights
	for slot, g := range ridges {
		next := g.after(t.From)
		if next > 0 {
			now[slot] = &g[next-1].level
			sum.move(nil, now[slot])
		}
		for ; next < len(g) && g[next].at < t.Until; next++ {
			events = append(events, event{g[next].at, slot, next})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.slot, b.slot)) })
	at := t.From
	for _, e := range events {
		if e.at != at && !visit(at, &sum) {
			return
		}
		at = e.at
		level := &ridges[e.slot][e.step].level
		sum.move(now[e.slot], level)
		now[e.slot] = level
	}
	visit(at, &sum)
}

// move takes one slot's weights out of the sum and puts others in.
func (w *weights) move(out, in *weights) {
	for r := range w {
		if out != nil {
			w[r] = w[r].minus(out[r])
		}
		w[r] = w[r].plus(in[r])
	}
}
