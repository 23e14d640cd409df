// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"net/netip"
	"slices"
)

// Vacancy asks when something would be free.
type Vacancy struct {
	Pool      Pool
	By        Principal    // whose own limit counts
	Source    netip.Prefix // and whose network's; of none if not known
	RSet      RSet
	Exclusive bool
	Length    int64 // seconds
	Within    Term  // when it would begin
}

// Windows answers a Vacancy: the longest terms, in the order of their beginnings,
// in any part of which, as long as Length, such a lease would be granted as the
// books stand. seen is how far the answer goes: to the last beginning that the
// pool's rule takes wishes for, or as far as MaxWindows and MaxWindowSteps let it
// look. Where it finds none, why is what the first such wish would be refused
// for. It is a hint: nothing is held, and ports are not looked at.
//
// It judges a wish as Step would, at every instant at which the judgement may
// change: when the term's begin or its end crosses a change of what is booked.
func (l *Ledger) Windows(q Vacancy) (list []Term, seen int64, why *Refusal) {
	q.Length = min(q.Length, MaxTerm+1)
	w := l.vacant(q)
	switch {
	case q.Length <= 0:
		why = refuse(Local, ReasonInvalid, "term of %d s", q.Length)
	case q.Within.Until < w.term.From:
		why = refuse(Local, ReasonClock, "the last beginning was %s, it is %s here", unix(q.Within.Until), unix(l.now))
	default:
		if why = l.timely(&w); why == nil {
			why = l.shun(&w)
		}
	}
	if why != nil { // whatever it begins
		return nil, q.Within.Until, why
	}
	last := min(q.Within.Until, l.now+l.pools[q.Pool].Ahead)
	books := l.booksOf(&w)
	open := false
	for at, steps := w.term.From, MaxWindowSteps; at <= last; steps-- {
		if steps == 0 {
			return list, at + q.Length - 1, unlessAny(list, why)
		}
		w.term = Term{at, at + q.Length}
		refusal := l.vacancy(&w)
		next := last + 1
		for _, c := range books {
			if e, ok := c.next(at); ok {
				next = min(next, e)
			}
			if e, ok := c.next(w.term.Until - 1); ok { // it comes into the term
				next = min(next, e-q.Length+1)
			}
		}
		switch {
		case refusal != nil:
			open = false
			if why == nil {
				why = refusal
			}
		case open:
		case len(list) == MaxWindows:
			return list, at + q.Length - 1, nil
		default:
			open = true
			list = append(list, w.term)
		}
		if open {
			list[len(list)-1].Until = next - 1 + q.Length
		}
		at = next
	}
	return list, last + q.Length, unlessAny(list, why)
}

func unlessAny(list []Term, why *Refusal) *Refusal {
	if len(list) > 0 {
		return nil
	}
	return why
}

// vacant is the first of the wishes that a vacancy is about.
func (l *Ledger) vacant(q Vacancy) want {
	from := min(max(q.Within.From, l.now), maxUnix)
	w := want{op: KindAsk, by: q.By, owner: q.By, pool: q.Pool, rset: q.RSet, source: q.Source.Masked(), term: Term{from, from + q.Length}}
	if q.Exclusive {
		w.alone = 1
	}
	if book := l.pools[q.Pool]; book != nil && book.Mechanism == MechanismShare {
		w.class, w.weight = Evictable, 1
	}
	return w
}

// vacancy judges one of them.
func (l *Ledger) vacancy(w *want) *Refusal {
	w.allotted = nil
	return l.allot(w, nil)
}

// booksOf returns the calendars whose changes can change how a wish is judged.
func (l *Ledger) booksOf(w *want) (list []*calendar) {
	pool := l.pools[w.pool]
	list = append(list, &pool.load, &pool.aside)
	if a := l.holders[w.by]; a != nil && a.load[w.pool] != nil {
		list = append(list, a.load[w.pool])
	}
	if c := l.networks[networkKey{w.source, w.pool}]; c != nil {
		list = append(list, c)
	}
	if pool.joint() || l.owing {
		list = append(list, &l.joint, &l.pool(PoolSharp).aside)
	}
	if l.owing || pool.joint() {
		for name, book := range l.pools {
			if name != w.pool {
				list = append(list, &book.load, &book.aside)
			}
		}
	}
	return slices.DeleteFunc(list, (*calendar).empty)
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
