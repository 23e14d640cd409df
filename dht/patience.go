// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"slices"
	"time"
)

// Patience learns how long a peer that answers takes to: 95 of 100 take no longer
// than Bound. Who takes longer is passed over, not given up (the hedged requests
// of Dean and Barroso, The Tail at Scale, 2013). It costs one request in twenty.
//
// The zero value is ready. It is not safe for concurrent use, and neither are
// look-ups that share one.
type Patience struct {
	Floor time.Duration // 0 is PatienceFloor

	last  [patienceSamples]time.Duration // a ring
	count int
	bound time.Duration // of the ring as it is; 0 when it changed

	vain  [patienceSamples]bool // a ring: what was asked in vain
	asked int
}

// Observe takes in how long an answer took, also a late one.
func (p *Patience) Observe(took time.Duration) {
	p.last[p.count%len(p.last)] = took
	p.count++
	p.bound = 0
}

// Outcome takes in whether a peer answered in time.
func (p *Patience) Outcome(answered bool) {
	p.vain[p.asked%len(p.vain)] = !answered
	p.asked++
}

// Ask returns how many to ask so that so many answer in time, by what was learned.
func (p *Patience) Ask(want int) int {
	n := min(p.asked, len(p.vain))
	if n < patienceLeast {
		return want
	}
	vain := 0
	for _, v := range p.vain[:n] {
		if v {
			vain++
		}
	}
	return min((want*n+n-vain-1)/max(n-vain, 1), want+want/askAhead)
}

// Bound returns how long the next answer is worth waiting for.
func (p *Patience) Bound() time.Duration {
	if p.bound == 0 {
		p.bound = p.learned()
	}
	return p.bound
}

func (p *Patience) learned() time.Duration {
	floor := p.Floor
	if floor <= 0 {
		floor = PatienceFloor
	}
	if p.count < patienceLeast {
		return max(PatienceFirst, floor)
	}
	all := slices.Clone(p.last[:min(p.count, len(p.last))])
	slices.Sort(all)
	return max(min(all[(len(all)*95+99)/100-1], PatienceCap), floor)
}
