// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
)

// Spread sets the statistics of a figure whose members are no whole numbers.
func (r *Recorder) Spread(figure, of string, members []float64) {
	if len(members) == 0 {
		return
	}
	slices.Sort(members)
	sum := 0.0
	for _, x := range members {
		sum += x
	}
	for i, q := range []float64{.5, .9, .95, .99, 1} {
		at := int(math.Ceil(q*float64(len(members)))) - 1
		r.Set(figure, of, Stats[i], members[max(at, 0)])
	}
	r.Set(figure, of, "mean", sum/float64(len(members)))
}
