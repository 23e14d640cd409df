// SPDX-License-Identifier: Apache-2.0

package lease

// recover emits again what may not be done: for every sliver, in the order of
// their leases, that it is to run and under which lease, or that it is to go.
func (l *Ledger) recover() {
	facts := l.out[:0]
	for _, e := range l.out { // what fell due in this step is said below
		if _, ok := e.(Fact); ok {
			facts = append(facts, e)
		}
	}
	l.out = facts
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
	l.stale = true
}
