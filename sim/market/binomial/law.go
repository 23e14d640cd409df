// SPDX-License-Identifier: Apache-2.0

package binomial

import "math"

// Law is what becomes of a trial: so many tickets on so many units, each redeemed
// with probability Redeem.
type Law struct {
	Units, Tickets int
	Redeem         float64
}

// comes is the probability that so many redeem.
func (l Law) comes(b int) float64 {
	switch {
	case l.Redeem >= 1 && b == l.Tickets:
		return 1
	case l.Redeem >= 1:
		return 0
	}
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	n := l.Tickets
	return math.Exp(lg(n) - lg(b) - lg(n-b) + float64(b)*math.Log(l.Redeem) + float64(n-b)*math.Log1p(-l.Redeem))
}

// of is the distribution of a figure that a trial has where so many redeem.
func (l Law) of(figure func(redeems int) int) dist {
	var d dist
	for b := range l.Tickets + 1 {
		for len(d.p) <= figure(b) {
			d.p = append(d.p, 0)
		}
		d.p[figure(b)] += l.comes(b)
	}
	return d
}

func (l Law) conflicts() dist { return l.of(func(b int) int { return min(max(b-l.Units, 0), 1) }) }
func (l Law) rejects() dist   { return l.of(func(b int) int { return max(b-l.Units, 0) }) }
func (l Law) uses() dist      { return l.of(func(b int) int { return min(b, l.Units) }) }

// Conflict is the probability that anybody is refused.
func (l Law) Conflict() float64 { return l.conflicts().mean() }

// Rejected is the share of the redeems that is refused.
func (l Law) Rejected() float64 {
	return l.rejects().mean() / (float64(l.Tickets) * l.Redeem)
}

// Used is the share of the units that is leased.
func (l Law) Used() float64 { return l.uses().mean() / float64(l.Units) }

// Spread is the standard deviation of Used in the mean of so many trials.
func (l Law) Spread(trials int) float64 {
	return math.Sqrt(l.uses().variance()/float64(trials)) / float64(l.Units)
}

// dist is a distribution of whole numbers from low on.
type dist struct {
	low int
	p   []float64
}

func (d dist) mean() (m float64) {
	for i, p := range d.p {
		m += p * float64(d.low+i)
	}
	return m
}

func (d dist) variance() (v float64) {
	m := d.mean()
	for i, p := range d.p {
		v += p * (float64(d.low+i) - m) * (float64(d.low+i) - m)
	}
	return v
}

// negligible is what is left away at both ends: far below what any tail is held
// against.
const negligible = 1e-25

func (d dist) trimmed() dist {
	for len(d.p) > 1 && d.p[0] < negligible {
		d.low, d.p = d.low+1, d.p[1:]
	}
	for len(d.p) > 1 && d.p[len(d.p)-1] < negligible {
		d.p = d.p[:len(d.p)-1]
	}
	return d
}

func (d dist) plus(o dist) dist {
	sum := dist{d.low + o.low, make([]float64, len(d.p)+len(o.p)-1)}
	for i, p := range d.p {
		for j, q := range o.p {
			sum.p[i+j] += p * q
		}
	}
	return sum.trimmed()
}

// times is the distribution of the sum of n that are independent.
func (d dist) times(n int) dist {
	sum := dist{p: []float64{1}}
	for d = d.trimmed(); n > 0; n >>= 1 {
		if n&1 == 1 {
			sum = sum.plus(d)
		}
		d = d.plus(d)
	}
	return sum
}

// most is how many standard deviations are told apart: beyond, tails are smaller
// than what rounding leaves of a sum.
const most = 8.0

// sigma says how far off a value is: as improbable as a normal variable that is off
// by so many standard deviations, to either side. Figures that are skewed, as most
// here are, have no other measure that is the same for all.
func (d dist) sigma(got int) float64 {
	var below, above float64
	for i, p := range d.p {
		if d.low+i <= got {
			below += p
		}
		if d.low+i >= got {
			above += p
		}
	}
	tail := min(2*min(below, above), 1)
	if tail < 1e-15 {
		return most
	}
	return math.Max(math.Sqrt2*math.Erfcinv(tail), 0) // a tail of 1 is -0
}

// ConflictSpread is the standard deviation of the share of so many trials that have
// a conflict.
func (l Law) ConflictSpread(trials int) float64 {
	return math.Sqrt(l.conflicts().variance() / float64(trials))
}
