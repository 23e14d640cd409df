// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"time"

	"croft/lease"
)

// allowance is the number of entries that may be verified at once; it comes back
// with time.
type allowance struct {
	left int
	last time.Time
}

// refill adds what time brought, in whole seconds.
func (a *allowance) refill(now time.Time, most, rate int) {
	if n := now.Sub(a.last) / time.Second; n > 0 {
		a.last = now
		a.left = min(most, a.left+int(min(n, time.Duration(most)))*rate)
	}
}

// spend takes one of the neighbour's allowance and of that of all together, or of
// neither.
func (s *Set) spend(now time.Time, from lease.Principal) bool {
	own, ok := s.senders[from]
	if !ok {
		s.prune(now)
		own = &allowance{left: Burst, last: now}
		s.senders[from] = own
	}
	own.refill(now, Burst, Rate)
	s.all.refill(now, BurstAll, RateAll)
	if own.left == 0 || s.all.left == 0 {
		return false
	}
	own.left--
	s.all.left--
	return true
}

// prune forgets the neighbours that have all their allowance back when there are
// many: they would get the same again.
func (s *Set) prune(now time.Time) {
	if len(s.senders) < maxSenders {
		return
	}
	for who, a := range s.senders {
		if a.refill(now, Burst, Rate); a.left == Burst {
			delete(s.senders, who)
		}
	}
}

// judged remembers of the latest maxJudged entries whether their signatures hold,
// which never changes.
type judged struct {
	of   map[lease.ID]bool
	ring []lease.ID
	next int
}

func newJudged() judged { return judged{of: map[lease.ID]bool{}} }

func (j *judged) get(id lease.ID) (holds, known bool) {
	holds, known = j.of[id]
	return holds, known
}

func (j *judged) put(id lease.ID, holds bool) {
	if len(j.ring) < maxJudged {
		j.ring = append(j.ring, id)
	} else {
		delete(j.of, j.ring[j.next])
		j.ring[j.next] = id
	}
	j.next = (j.next + 1) % maxJudged
	j.of[id] = holds
}
