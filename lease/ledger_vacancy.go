// SPDX-License-Identifier: Apache-2.0

package lease

import "slices"

// Vacancy asks when something would be free.
type Vacancy struct {
	Pool      Pool
	By        Principal // whose own limit counts
	RSet      RSet
	Exclusive bool
	Length    int64 // seconds
	Within    Term  // when it would begin
}

// Windows answers a Vacancy: the longest terms, in order, in any part of which
// such a lease would be granted as the books stand, each at least Length long.
// seen is how far the answer goes: to the last beginning that the pool's rule
// takes wishes for, or as far as MaxWindows and MaxWindowSteps let it look. It is
// a hint: nothing is held, and ports are not looked at.
func (l *Ledger) Windows(q Vacancy) (list []Term, seen int64) {
	rule, known := l.pools[q.Pool]
	last := min(q.Within.Until, l.now+ahead(rule))
	t := Term{max(q.Within.From, l.now), last + q.Length}
	if !known || q.Length <= 0 || q.Length > rule.MaxTerm || t.From > last || q.Exclusive && !rule.Exclusive {
		return nil, q.Within.Until
	}
	need := q.RSet
	switch {
	case rule.Mechanism == MechanismShare:
		need = keeps(need)
	case q.Exclusive:
		need = need.Max(rule.Capacity)
	}
	steps := MaxWindowSteps
	list, seen = rule.load.windows(t, need, rule.Capacity, &steps)
	if limit := rule.PerPrincipal; !limit.IsZero() {
		for r := range limit {
			if limit[r] == 0 {
				limit[r] = 2 * MaxAmount
			}
		}
		mine := new(calendar)
		if a := l.holders[q.By]; a != nil && a.load[q.Pool] != nil {
			mine = a.load[q.Pool]
		}
		own, to := mine.windows(Term{t.From, seen}, need, limit, &steps)
		list, seen = overlap(list, own), to
	}
	list = slices.DeleteFunc(list, func(w Term) bool { return w.Seconds() < q.Length })
	if len(list) > MaxWindows {
		seen, list = list[MaxWindows].From, list[:MaxWindows]
	}
	return list, seen
}

func ahead(p *poolBook) int64 {
	if p == nil {
		return 0
	}
	return p.Ahead
}

// Level is what is charged from one instant to the next.
type Level struct {
	At   int64 `json:"at"` // Unix seconds
	Load RSet  `json:"load"`
}

// Levels returns the load on a pool during a term, in order, each level from its
// instant on; at most MaxLevels, and then seen is where it stopped.
func (l *Ledger) Levels(p Pool, t Term) (list []Level, seen int64) {
	seen = t.Until
	book := l.pools[p]
	if book == nil || t.Seconds() == 0 {
		return nil, seen
	}
	book.load.walk(t, func(at int64, load RSet) bool {
		if n := len(list); n > 0 && list[n-1].Load == load {
			return true
		}
		if len(list) == MaxLevels {
			seen = at
			return false
		}
		list = append(list, Level{at, load})
		return true
	})
	return list, seen
}
