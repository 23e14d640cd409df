// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
)

// Overlay is one figure of several runs, laid over one another.
type Overlay struct {
	Figure    string     `json:"figure"`
	Of        string     `json:"of,omitempty"`
	Unit      string     `json:"unit,omitempty"`
	Runs      []int      `json:"runs"` // by index; the first is what the others are held against
	Distances []Distance `json:"distances"`
	dists     []*Dist
	scale     float64
}

// Dist returns the distribution of the i-th of its runs, and the factor that brings
// members into Unit.
func (o *Overlay) Dist(i int) (*Dist, float64) { return o.dists[i], o.scale }

// Compare lays the distributions of runs over one another: those figures that at
// least two of them measured. Distances are from the first that did, in Unit.
func Compare(runs []*Report) (list []Overlay) {
	for i, r := range runs {
		for _, m := range r.Measures {
			at := slices.IndexFunc(list, func(o Overlay) bool { return o.Figure == m.Figure && o.Of == m.Of })
			if at < 0 {
				at = len(list)
				list = append(list, Overlay{Figure: m.Figure, Of: m.Of, Unit: m.Unit, scale: m.Scale})
			}
			o := &list[at]
			var d Distance
			if len(o.dists) > 0 {
				d = Between(o.dists[0], m.Dist)
				d.Earth *= o.scale
			}
			o.Runs, o.dists, o.Distances = append(o.Runs, i), append(o.dists, m.Dist), append(o.Distances, d)
		}
	}
	return slices.DeleteFunc(list, func(o Overlay) bool { return len(o.Runs) < 2 })
}

// Labels returns a name for each run by which it can be told from the others.
func Labels(runs []*Report) []string {
	labels := make([]string, len(runs))
	for i, r := range runs {
		labels[i] = r.Name
		same := slices.Collect(func(yield func(*Report) bool) {
			for j, o := range runs {
				if j != i && o.Name == r.Name && !yield(o) {
					return
				}
			}
		})
		differs := func(f func(*Report) any) bool {
			return slices.ContainsFunc(same, func(o *Report) bool { return f(o) != f(r) })
		}
		if differs(func(r *Report) any { return r.World }) {
			labels[i] += ", " + r.World
		}
		if differs(func(r *Report) any { return r.Nodes }) {
			labels[i] += fmt.Sprintf(", %d nodes", r.Nodes)
		}
		if differs(func(r *Report) any { return r.Seed }) {
			labels[i] += fmt.Sprintf(", seed %d", r.Seed)
		}
	}
	return labels
}
