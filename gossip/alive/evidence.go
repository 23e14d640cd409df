// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"cmp"
	"slices"
	"time"

	"croft/lease"
)

// Evidence is what speaks against a node by its newest offer. What to make of it is for
// whoever asks: [Watch.Standing] is the opinion of this package.
type Evidence struct {
	Node     lease.Principal
	Sequence uint64
	Missed   int      // probes by this node, running, at most Certain
	Charges  []Charge // by site, the newest first, at most MaxCharges
}

// Charge is that nodes of one site suspect a node.
type Charge struct {
	Site lease.Principal // zero: of none that is certified
	By   int             // nodes
	Age  time.Duration   // since the last one was heard
}

// Evidence returns all of it, in the order of ids.
func (w *Watch) Evidence(now time.Time) (all []Evidence) {
	missed := map[lease.Principal]int{}
	w.each(func(t *target) {
		if t.misses > 0 && !t.node.IsZero() && !w.cut { // else the fault is likely its own
			missed[t.node] = max(missed[t.node], min(t.misses, Certain-1))
		}
	})
	for node := range w.doubts {
		missed[node] += 0
	}
	for node, n := range missed {
		e := Evidence{Node: node, Sequence: w.sequence(node), Missed: n}
		if d := w.doubts[node]; d != nil {
			if d.certain == e.Sequence && e.Sequence != 0 {
				e.Missed = Certain
			}
			e.Charges = d.charges(now, e.Sequence)
		}
		if e.Sequence != 0 && (e.Missed > 0 || len(e.Charges) > 0) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Evidence) int { return compare(a.Node, b.Node) })
	return all
}

// charges are those against the offer of that very sequence.
func (d *doubt) charges(now time.Time, sequence uint64) (list []Charge) {
	for _, c := range d.said {
		if c.sequence != sequence {
			continue
		}
		age := max(now.Sub(c.got), 0)
		if i := slices.IndexFunc(list, func(l Charge) bool { return l.Site == c.site }); i >= 0 {
			list[i].By++
			list[i].Age = min(list[i].Age, age)
			continue
		}
		list = append(list, Charge{c.site, 1, age})
	}
	slices.SortFunc(list, func(a, b Charge) int { return cmp.Or(cmp.Compare(a.Age, b.Age), compare(a.Site, b.Site)) })
	return list[:min(len(list), MaxCharges)]
}
