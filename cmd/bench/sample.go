// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"
)

// A sample is what one thing was measured at, in the order of the rounds.
type sample []float64

// quantile is linear between neighbours; 0 for no sample at all.
func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func (s sample) median() float64 { return s.quantile(0.5) }

// over divides round by round, which leaves out what moved both sides alike.
func (s sample) over(base sample) sample {
	out := make(sample, min(len(s), len(base)))
	for i := range out {
		out[i] = s[i] / base[i]
	}
	return out
}

// times is in another unit.
func (s sample) times(factor float64) sample {
	out := slices.Clone(s)
	for i := range out {
		out[i] *= factor
	}
	return out
}

// timed appends how long f takes, in the unit.
func (s *sample) timed(unit time.Duration, f func() error) error {
	start := time.Now()
	err := f()
	*s = append(*s, float64(time.Since(start))/float64(unit))
	return err
}
