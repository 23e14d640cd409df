// SPDX-License-Identifier: Apache-2.0

package lease

// share divides what is idle now among the evictable leases that run, and says
// it of those whose part has changed. It follows every input that changes what
// is booked, and every instant at which something booked begins or ends. Shares
// are no facts: they follow from the calendar.
func (l *Ledger) share() {
	if !l.stale && (l.shareAt == 0 || l.shareAt > l.now) {
		return
	}
	l.shareAt = 0
	var running []*booking
	for _, b := range l.evictables {
		if b.state.Live() && b.begun(l.now) {
			running = append(running, b)
		}
	}
	if len(running) == 0 {
		return
	}
	changed := l.divideIdle(running)
	said := make(map[ID]RSet) // of those that begin now their Begin says it
	for _, b := range running {
		said[b.lease] = b.share
	}
	told := make(map[ID]bool)
	for i, e := range l.out {
		switch e := e.(type) {
		case Begin:
			e.Share, told[e.Lease] = said[e.Lease], true
			l.out[i] = e
		case Continue:
			e.Share, told[e.Lease] = said[e.Lease], true
			l.out[i] = e
		}
	}
	for _, b := range changed {
		if !told[b.lease] {
			l.emit(Share{Sliver: SliverName(b.sliver), Lease: b.lease, RSet: b.share})
		}
	}
	l.shareAt = l.nextChange()
}

// divideIdle sets every share and returns those that are other than before.
func (l *Ledger) divideIdle(running []*booking) (changed []*booking) {
	idle := l.Idle()
	list := make([]claimant, len(running))
	shares := make([]RSet, len(running))
	for i, b := range running {
		shares[i] = b.rset
	}
	for r := range idle {
		if !elastic(Resource(r)) {
			continue
		}
		for i, b := range running {
			list[i] = claimant{weight: uint64(b.weight), least: min(b.rset[r], shareFloor[r]), most: b.rset[r]}
		}
		divide(idle[r], list)
		for i := range list {
			shares[i][r] = list[i].share
		}
	}
	for i, b := range running {
		if b.share != shares[i] {
			b.share = shares[i]
			changed = append(changed, b)
		}
	}
	return changed
}

// Idle is what nobody has booked at this instant, in all pools together: what
// evictable leases divide. What they keep themselves is not in it but of what
// they divide, where it counts as idle.
func (l *Ledger) Idle() RSet {
	var all, booked, kept RSet
	for _, p := range l.pools {
		all = all.Plus(p.Capacity)
		booked = booked.Plus(p.load.peak(Term{l.now, l.now + 1}))
	}
	for _, b := range l.evictables {
		for _, s := range b.charges {
			for r := range kept {
				if elastic(Resource(r)) && s.Covers(l.now) {
					kept[r] += s.rset[r]
				}
			}
		}
	}
	return all.Minus(booked.Minus(kept))
}

// nextChange is the next instant at which what is booked changes by itself.
func (l *Ledger) nextChange() (at int64) {
	for _, p := range l.pools {
		if next, ok := p.load.next(l.now); ok && (at == 0 || next < at) {
			at = next
		}
	}
	return at
}
