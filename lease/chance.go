// SPDX-License-Identifier: Apache-2.0

package lease

import "math"

// RefusalChance estimates how likely a redeem of the whole leaf is refused
// because a claim on its path is used up: the largest chance of all claims, if
// every other unit that a claim may promise is drawn on with probability p. It is
// 0 for a path on which nothing is oversubscribed. For the holder of a ticket that
// is what a degree means; others' habits are its guess.
//
// The law: a claim of rset s and degree d holds K = ⌊s / leaf⌋ units of the leaf's
// size in the scarcest resource, and ⌈K × d⌉ unit tickets may stand under it. The
// redeem is refused if K or more of the others come first; as any of those that
// come is as likely to be late, the chance is E[(n − K)⁺] / E[n], n binomial.
//
// The leaf ticket itself does not count: how often it is drawn on is up to its
// holder.
func RefusalChance(c Chain, p float64) float64 {
	wish, above := c.Leaf(), c.links[:len(c.links)-1]
	if wish.Kind() == KindRedeem {
		above = above[:len(above)-1]
	}
	worst := 0.0
	for _, o := range above {
		k, _ := childOf(wish)
		if x, _ := claimOf(o.Statement); x.degree > MinDegree {
			worst = max(worst, Crowding(units(x.rset, k.rset), x.degree, p).Refused)
		}
	}
	return worst
}

// units is how many times part fits into whole, by the resource of which it
// fits least often; at most maxUnits, beyond which the law has no spread left.
func units(whole, part RSet) int {
	k := uint64(maxUnits)
	for r, v := range part {
		if v > 0 {
			k = min(k, whole[r]/v)
		}
	}
	return int(max(k, 1))
}

const maxUnits = 1024

// Odds is what comes of a claim of K units under which more are promised, each
// drawn on with the same probability and independently of the others.
type Odds struct {
	Conflict float64 // the chance that somebody is refused
	Refused  float64 // the part of the draws that is refused
	Used     float64 // the part of the claim that is in use
}

// Crowding returns the odds of a claim of k units and a degree in hundredths, by
// the exact binomial law. Tickets are whole: their number is rounded up.
func Crowding(k int, degree uint16, p float64) (o Odds) {
	n := (k*int(degree) + degreeUnit - 1) / degreeUnit
	if p = min(p, 1); k <= 0 || !(p > 0) {
		return o
	}
	excess, used := 0.0, 0.0
	least, most := likely(n, p)
	for i := least; i <= most; i++ {
		q := binomial(n, i, p)
		used += q * float64(min(i, k))
		if i > k {
			o.Conflict += q
			excess += q * float64(i-k)
		}
	}
	o.Conflict = min(o.Conflict, 1)
	o.Refused = excess / (float64(n) * p)
	o.Used = min(used/float64(k), 1)
	return o
}

// likely bounds what is worth summing: a dozen standard deviations about the
// mean leave out less than a float can say.
func likely(n int, p float64) (least, most int) {
	mean, spread := float64(n)*p, 12*math.Sqrt(float64(n)*p*(1-p))+12
	return int(max(mean-spread, 0)), int(min(mean+spread, float64(n)))
}

// binomial is the chance that exactly i of n happen. It goes by logarithms: the
// factors alone leave the range of a float.
func binomial(n, i int, p float64) float64 {
	if p == 1 {
		if i == n {
			return 1
		}
		return 0
	}
	all, _ := math.Lgamma(float64(n + 1))
	yes, _ := math.Lgamma(float64(i + 1))
	no, _ := math.Lgamma(float64(n - i + 1))
	return math.Exp(all - yes - no + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
}
