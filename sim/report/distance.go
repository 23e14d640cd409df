// SPDX-License-Identifier: Apache-2.0

package report

import "math"

// Distance is how far two distributions are from one another.
type Distance struct {
	// KS is Kolmogorov's and Smirnov's: the most by which the shares at or below
	// some value differ, from 0 to 1.
	KS float64 `json:"ks"`
	// Earth is the earth mover's (Wasserstein's first), in the unit of the members:
	// how far a member has to be moved, on average, to turn one into the other.
	Earth float64 `json:"earth"`
	// Relative is Earth over the mean of the first.
	Relative float64 `json:"relative"`
}

// Between returns the distance of two distributions, of which none is empty.
func Between(a, b *Dist) (d Distance) {
	var sa, sb uint64
	last := 0.0
	for c := range max(len(a.classes), len(b.classes)) {
		at := middle(c)
		apart := math.Abs(share(sa, a.count) - share(sb, b.count))
		d.Earth += apart * (at - last)
		last = at
		if c < len(a.classes) {
			sa += a.classes[c]
		}
		if c < len(b.classes) {
			sb += b.classes[c]
		}
		d.KS = max(d.KS, math.Abs(share(sa, a.count)-share(sb, b.count)))
	}
	if m := a.Mean(); m > 0 {
		d.Relative = d.Earth / m
	}
	return d
}

func share(n, of uint64) float64 { return float64(n) / math.Max(float64(of), 1) }
