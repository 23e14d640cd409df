// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"slices"
)

// eviction is an evictable lease that must go, with its successor if it has one,
// and when they will have gone.
type eviction struct {
	b    *booking
	ends []ending
}

// claimRoom sees to it that a wish for the sharp pool, which fits that pool by
// itself, gets the room that was lent out of it: it names who is evicted, and
// when the last of them has gone. Until then the lease does not start, so at no
// instant is more charged than there is.
func (l *Ledger) claimRoom(w *want, old *booking, spans []span) *Refusal {
	if len(spans) == 0 {
		return nil
	}
	from := max(spans[0].From, l.now) // the past is nobody's
	leaving := l.leaving(from)
	gone := l.vacate(old, spans, leaving)
	starts, ok := l.startOf(spans, from, leaving, gone)
	l.restore(gone)
	switch {
	case old != nil && (!ok || starts > from): // a sliver that runs on cannot wait for more
		return refuse(Local, ReasonState, "lease %s cannot be continued like that yet: the room is lent out", w.replaces.Short())
	case !ok:
		return refuse(Local, ReasonCapacity, "what was lent of the pool does not come back")
	case starts == from:
	default:
		if w.allotted == nil {
			w.allotted = &Allotted{Charge: w.rset, Grace: l.cfg.Grace}
		}
		w.allotted.Starts = starts
	}
	w.evict = gone
	return nil
}

// vacate takes out of the joint calendar the ends of as few evictable leases as
// the spans need: of the lowest weight first, and of those the youngest. None
// goes that could stay, and never the lease that the wish is to replace.
func (l *Ledger) vacate(old *booking, spans []span, leaving []int64) (gone []eviction) {
	from, until := max(spans[0].From, l.now), spans[len(spans)-1].Until
	if _, ok := l.startOf(spans, from, leaving, nil); ok {
		return nil
	}
	var candidates []eviction
	for _, b := range l.evictables {
		if !b.joint || b == old || b.old != nil && b.old.lent() {
			continue // or it goes with the one before it
		}
		if e := (eviction{b, b.endings(l.now, from)}); e.gone() < min(until, e.stays()) {
			candidates = append(candidates, e)
		}
	}
	slices.SortStableFunc(candidates, func(a, b eviction) int {
		return cmp.Or(cmp.Compare(a.b.weight, b.b.weight), cmp.Compare(b.b.seq, a.b.seq))
	})
	for _, e := range candidates {
		if !l.helps(e, spans) {
			continue
		}
		l.shift(e, -1)
		gone = append(gone, e)
		if _, ok := l.startOf(spans, from, leaving, gone); ok {
			break
		}
	}
	for i := len(gone) - 1; i >= 0; i-- {
		l.shift(gone[i], +1)
		rest := slices.Delete(slices.Clone(gone), i, i+1)
		if _, ok := l.startOf(spans, from, leaving, rest); ok {
			gone = rest
		} else {
			l.shift(gone[i], -1)
		}
	}
	return gone
}

// lent reports whether b lives on room that a ticket may need.
func (b *booking) lent() bool { return b.class == Evictable && b.joint }

// gone is when the sliver has gone.
func (e eviction) gone() int64 { return e.ends[len(e.ends)-1].at }

// stays is how long what the eviction ends would stay, of what is lent.
func (e eviction) stays() (until int64) {
	for _, x := range e.ends {
		if x.b.lent() {
			until = max(until, x.b.occupies().Until)
		}
	}
	return until
}

// helps reports whether what e charges is of what the spans lack.
func (l *Ledger) helps(e eviction, spans []span) bool {
	var charged RSet
	for _, x := range e.ends {
		charged = charged.Max(x.b.charge())
	}
	for _, s := range spans {
		load, all := l.joint.peak(s.Term), l.jointRoom(s.Term)
		for r := range load {
			if !elastic(Resource(r)) && charged[r] > 0 && load[r]+s.rset[r] > all[r] {
				return true
			}
		}
	}
	return false
}

// shift has e's charges end in the joint calendar where the eviction would end
// them, or as they do.
func (l *Ledger) shift(e eviction, sign int) {
	for _, x := range e.ends {
		if !x.b.joint {
			continue
		}
		for _, s := range x.b.charges {
			short := s // what was added as one span is taken out as one
			short.Until = min(s.Until, max(s.From, x.at))
			from, to := s, short
			if sign > 0 {
				from, to = short, s
			}
			if from.Seconds() > 0 {
				l.joint.remove(from)
			}
			if to.Seconds() > 0 {
				l.joint.add(to)
			}
		}
	}
}

func (l *Ledger) restore(gone []eviction) {
	for _, e := range gone {
		l.shift(e, +1)
	}
}

// leaving lists, ascending, when those go who go by themselves: who are leaving, as
// far as somebody who has their notice can wait for it, and whose terms end before
// a notice would.
func (l *Ledger) leaving(from int64) (instants []int64) {
	for _, b := range l.evictables {
		until, wait := b.occupies().Until, l.now+b.notice()
		switch {
		case b.state == Closing:
			wait = from + b.notice()
		case b.old != nil:
			wait = max(wait, l.now+b.old.notice())
		case b.heir != nil:
			wait = max(wait, l.now+b.heir.notice())
		}
		if b.joint && until > from && until <= wait {
			instants = append(instants, until)
		}
	}
	slices.Sort(instants)
	return slices.Compact(instants)
}

// startOf finds the first instant from which the spans fit into the joint
// calendar: their own beginning, or when somebody who is leaving has left and
// there is something of them to come.
func (l *Ledger) startOf(spans []span, from int64, leaving []int64, gone []eviction) (int64, bool) {
	if l.lentFits(spans, from) {
		return from, true
	}
	instants, until := slices.Clone(leaving), spans[len(spans)-1].Until
	for _, e := range gone { // of one pool they all go at once, or almost
		if at := max(from, e.gone()); len(instants) == 0 || instants[len(instants)-1] != at {
			instants = append(instants, at)
		}
	}
	slices.Sort(instants)
	instants = slices.DeleteFunc(slices.Compact(instants), func(at int64) bool { return at <= from || at >= until })
	if n := len(instants); n == 0 || !l.lentFits(spans, instants[n-1]) {
		return 0, false // nor before, when there is less room
	}
	for _, at := range instants {
		if l.lentFits(spans, at) {
			return at, true
		}
	}
	return 0, false
}

// lentFits reports whether the spans fit, from an instant on, into what the
// sharp pool and those that borrow from it have together.
func (l *Ledger) lentFits(spans []span, at int64) bool {
	for _, s := range spans {
		s.From = max(s.From, at)
		if s.From >= s.Until {
			continue
		}
		load, all := l.joint.peak(s.Term), l.jointRoom(s.Term)
		for r := range load {
			if !elastic(Resource(r)) && s.rset[r] > 0 && load[r]+s.rset[r] > all[r] {
				return false
			}
		}
	}
	return true
}

// evictAll revokes, with notice, whoever must go for a wish that is granted.
func (l *Ledger) evictAll(list []eviction) *Refusal {
	for _, e := range list {
		if _, refusal := l.revoke(e.ends, "the room is needed for a ticket"); refusal != nil {
			return refusal
		}
	}
	return nil
}
