// SPDX-License-Identifier: Apache-2.0

package lease

// calendarMechanism gives terms that lie ahead. What is reserved waits, leased,
// for its term to begin and Rule.NoShow seconds longer; who has not come by then
// has lost it. Alone, a lease is charged the whole pool.
type calendarMechanism struct{}

func (calendarMechanism) Name() string { return MechanismCalendar }

func (calendarMechanism) Answer(q Question) Terms {
	if q.Op != KindAsk {
		return refused("pool %s takes no tickets", q.Rule.Pool)
	}
	if no, ok := q.hard(q.Rule.Exclusive); !ok {
		return no
	}
	t := q.plain()
	if t.Exclusive = q.Exclusive; q.Exclusive {
		t.Charge = q.Rule.Capacity
	}
	t.ActivateBy = min(max(q.Now, q.Term.From)+q.Rule.NoShow, q.Term.Until)
	return t
}
