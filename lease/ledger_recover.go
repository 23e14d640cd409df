// SPDX-License-Identifier: Apache-2.0

package lease

import "slices"

// recover emits again what may not be done: for every sliver, in the order of
// their leases, that it is to run and under which lease, or that it is to go.
func (l *Ledger) recover() {
	l.settleRules()
	l.out = slices.DeleteFunc(l.out, func(e Effect) bool { // what fell due in this step is said below
		switch e := e.(type) {
		case Begin, Continue:
			return true
		case Finish:
			return l.bookings[e.Lease] != nil
		}
		return false
	})
	for _, b := range l.byAge() {
		switch {
		case b.state.Live() && b.begun(l.now):
			name := SliverName(b.sliver)
			l.emit(Begin{Sliver: name, Lease: b.lease, Statement: b.leaseBytes, Program: b.program})
			if b.continues {
				l.emit(Continue{Sliver: name, Lease: b.lease, Statement: b.leaseBytes})
			}
		case !b.state.Live() && !b.gone:
			l.emit(b.finishing())
		}
	}
	for _, p := range l.byProof() {
		if l.quarantineEnd(p.verdict) <= l.now {
			continue
		}
		l.emit(Proved{Proof: p.bytes})
	}
	l.stale = true // which has the shares said again too
}
