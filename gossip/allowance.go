// SPDX-License-Identifier: Apache-2.0

package gossip

import "time"

// allowance is a number of something, such as bytes, that may be had at once, and
// comes back with time.
type allowance struct {
	left int
	limit
	last time.Time
}

// limit is what may be had at once, and what comes back each second.
type limit struct{ most, rate int }

func newAllowance(now time.Time, l limit) *allowance {
	return &allowance{left: l.most, limit: l, last: now}
}

// refill adds what time brought, in whole seconds.
func (a *allowance) refill(now time.Time) {
	if s := now.Sub(a.last) / time.Second; s > 0 {
		a.last = a.last.Add(s * time.Second)
		a.left = int(min(int64(a.most), int64(a.left)+int64(min(s, time.Duration(a.most/a.rate)+1))*int64(a.rate)))
	}
}

// rations are the allowances of neighbours, or of networks, and one of all of them
// together.
type rations[K comparable] struct {
	each, together limit // together zero: there is none
	of             map[K]*allowance
	all            *allowance
}

// own is the neighbour's allowance, with what time brought.
func (r *rations[K]) own(now time.Time, from K) *allowance {
	if r.of == nil {
		r.of = map[K]*allowance{}
		r.all = newAllowance(now, r.together)
	}
	own, ok := r.of[from]
	if !ok {
		if r.prune(now); len(r.of) >= 2*maxSenders {
			from = *new(K) // a crowd of keys has one allowance
		}
		if own = r.of[from]; own == nil {
			own = newAllowance(now, r.each)
			r.of[from] = own
		}
	}
	own.refill(now)
	return own
}

// spend takes n of the neighbour's allowance and of that of all together, or of
// neither.
func (r *rations[K]) spend(now time.Time, from K, n int) bool {
	own := r.own(now, from)
	if own.left < n {
		return false
	}
	if r.together != (limit{}) {
		if r.all.refill(now); r.all.left < n {
			return false
		}
		r.all.left -= n
	}
	own.left -= n
	return true
}

// prune forgets the neighbours that have all their allowance back when there are
// many: they would get the same again.
func (r *rations[K]) prune(now time.Time) {
	if len(r.of) < maxSenders {
		return
	}
	for who, a := range r.of {
		if a.refill(now); a.left == a.most {
			delete(r.of, who)
		}
	}
}
