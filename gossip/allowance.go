// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"time"

	"croft/lease"
)

// allowance is a number of bytes that may be verified at once, and comes back
// with time.
type allowance struct {
	left int
	most int
	rate int // bytes per second
	last time.Time
}

func newAllowance(now time.Time, most, rate int) *allowance {
	return &allowance{left: most, most: most, rate: rate, last: now}
}

// refill adds what time brought, in whole seconds.
func (a *allowance) refill(now time.Time) {
	if s := now.Sub(a.last) / time.Second; s > 0 {
		a.last = a.last.Add(s * time.Second)
		a.left = int(min(int64(a.most), int64(a.left)+int64(min(s, time.Duration(a.most/a.rate)+1))*int64(a.rate)))
	}
}

// spend takes n bytes of the neighbour's allowance and of that of all together,
// or of neither.
func (p *Proofs) spend(now time.Time, from lease.Principal, n int) bool {
	if p.all == nil {
		p.all = newAllowance(now, ProofBurstAll, ProofRateAll)
	}
	own, ok := p.senders[from]
	if !ok {
		p.prune(now)
		own = newAllowance(now, p.cfg.Burst, ProofRate)
		p.senders[from] = own
	}
	own.refill(now)
	p.all.refill(now)
	if own.left < n || p.all.left < n {
		return false
	}
	own.left -= n
	p.all.left -= n
	return true
}

// prune forgets the neighbours that have all their allowance back when there are
// many: they would get the same again.
func (p *Proofs) prune(now time.Time) {
	if len(p.senders) < maxSenders {
		return
	}
	for who, a := range p.senders {
		if a.refill(now); a.left == a.most {
			delete(p.senders, who)
		}
	}
}

// judged remembers what the latest maxJudged messages are by themselves, which
// never changes: the same bytes are verified once.
type judged struct {
	of   map[lease.Digest]judgement
	ring []lease.Digest
	next int
}

type judgement struct {
	verdict Verdict // zero for a proof that holds
	id      lease.ID
	shown   Shown
}

func newJudged() judged { return judged{of: map[lease.Digest]judgement{}} }

func (j *judged) get(name lease.Digest) (judgement, bool) {
	known, ok := j.of[name]
	return known, ok
}

func (j *judged) put(name lease.Digest, known judgement) Verdict {
	if len(j.ring) < maxJudged {
		j.ring = append(j.ring, name)
	} else {
		delete(j.of, j.ring[j.next])
		j.ring[j.next] = name
	}
	j.next = (j.next + 1) % maxJudged
	j.of[name] = known
	return known.verdict
}
