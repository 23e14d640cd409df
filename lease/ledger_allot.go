// SPDX-License-Identifier: Apache-2.0

package lease

// charge is what the calendar is charged.
func (w *want) charge() RSet {
	if w.allotted != nil {
		return w.allotted.Charge
	}
	return w.rset
}

// starts is when the room is there: with the term, or as soon as those who were
// evicted for it have gone.
func (w *want) starts() int64 {
	if w.allotted != nil {
		return max(w.term.From, w.allotted.Starts)
	}
	return w.term.From
}

// allot has the pool's mechanism judge a wish, and finds the room for it on the
// terms that the mechanism names.
func (l *Ledger) allot(w *want, old *booking) *Refusal {
	for r, most := range l.cfg.Most {
		if res := Resource(r); most != 0 && w.rset[r] > most {
			return refuse(Local, ReasonBound, "%s: one lease has at most %s here, %s are wanted", res, res.Format(most), res.Format(w.rset[r]))
		}
	}
	if most := l.cfg.FanOut; most != 0 && w.fanOut > most && !w.spread() {
		return refuse(Local, ReasonBound, "fan-out: a lease has at most %d here, %d is wanted", most, w.fanOut)
	}
	rule := l.pool(w.pool)
	m := l.mechanisms[rule.Mechanism]
	if m == nil {
		return refuse(Local, ReasonPolicy, "pool %s needs a mechanism %q, which this node does not have", w.pool, rule.Mechanism)
	}
	q := l.question(w, old)
	terms := m.Answer(q)
	switch {
	case terms.Refusal != nil:
		return terms.Refusal
	case terms.Class != w.class || terms.Weight != w.weight || terms.Exclusive != (w.alone != 0):
		return refuse(Local, ReasonPolicy, "mechanism %s offers a %s lease of weight %d, which is not what was asked for", rule.Mechanism, terms.Class, terms.Weight)
	case w.class == Evictable && len(l.evictables) >= MaxEvictables:
		return refuse(Local, ReasonPolicy, "%d evictable leases stand, limit %d", len(l.evictables), MaxEvictables)
	}
	if w.pending = nil; terms.Undecided {
		w.pending = &q
	}
	w.allotted = l.allotted(w, old, &terms)
	spans := rises(w, old)
	if refusal := l.fits(w, spans); refusal != nil {
		return refusal
	}
	if refusal := l.apart(w, old); refusal != nil {
		return refusal
	}
	if w.pool != PoolSharp || len(l.evictables) == 0 {
		return nil
	}
	return l.claimRoom(w, old, spans)
}

// spread reports whether the capacity that w is drawn on states a fan-out, which
// then is at least the wish's: the owner has given it by name.
func (w *want) spread() bool {
	root := w.leaf
	for root != nil && root.up != nil {
		root = root.up
	}
	return root != nil && root.fanOut != 0
}

// apart keeps a pool's other leases out of the term of one that has it alone.
// What that one is charged, the pool as it was then, does not see to it: the pool
// may have other sizes by now.
func (l *Ledger) apart(w *want, old *booking) *Refusal {
	for _, b := range l.alone {
		if b != old && b.pool == w.pool && b.occupies().Overlaps(w.term) {
			return refuse(Local, ReasonCapacity, "somebody has pool %s alone in that term", w.pool)
		}
	}
	if w.alone == 0 {
		return nil
	}
	load, rest := &l.pool(w.pool).load, w.term
	var others RSet
	if old != nil && old.pool == w.pool {
		if t := old.occupies().meet(w.term); t.Seconds() > 0 {
			others, rest.From = load.peak(t).Minus(old.charge()), t.Until
		}
	}
	if rest.Seconds() > 0 {
		others = others.Max(load.peak(rest))
	}
	if !others.IsZero() {
		return refuse(Local, ReasonCapacity, "others have %s of pool %s in that term", others, w.pool)
	}
	return nil
}

func (l *Ledger) question(w *want, old *booking) Question {
	load, room := l.room(w.pool, w.term)
	rule := l.pool(w.pool).PoolRule
	rule.Only, rule.PerNetwork = nil, RSet{} // the ledger's own to judge
	q := Question{Now: l.now, Rule: rule, Op: w.op, By: w.by, RSet: w.rset, Term: w.term, Class: w.class,
		Weight: w.weight, Exclusive: w.alone != 0, Renews: old != nil, Load: l.pool(w.pool).load.peak(w.term), Free: room.Minus(load),
		Ask: w.id, Slice: w.slice, Owner: w.owner, Bid: w.bid, Decided: w.decided}
	if a := l.holders[w.by]; a != nil && a.load[w.pool] != nil {
		q.Mine = a.load[w.pool].peak(w.term)
	}
	return q
}

// allotted is what of the terms is not plain. No mechanism is believed to charge
// too little: a hard lease is charged what it gives, an evictable one what it
// keeps, and one that is alone the pool.
func (l *Ledger) allotted(w *want, old *booking, terms *Terms) *Allotted {
	a := &Allotted{Charge: terms.Charge.Max(w.rset), Grace: terms.Grace, ActivateBy: terms.ActivateBy}
	if w.class == Evictable {
		a.Charge = terms.Charge.Max(keeps(w.rset))
	}
	if w.alone != 0 {
		a.Charge = a.Charge.Max(l.pool(w.pool).Capacity)
	}
	if a.Grace == 0 {
		a.Grace = l.cfg.Grace
	}
	if reason(terms.Said) == nil {
		a.Said = terms.Said
	}
	a.Lent = w.class == Evictable && (l.pool(w.pool).borrows() || old != nil && old.lentOut())
	if *a == (Allotted{Charge: w.rset, Grace: l.cfg.Grace}) {
		return nil
	}
	return a
}

// room returns how much of each resource is charged in a term, and out of how
// much: the pool's own, and of what a lender's holders have not drawn the whole
// of both.
func (l *Ledger) room(p Pool, t Term) (load, room RSet) {
	pool := l.pool(p)
	over := l.overhang(p, t)
	load, room = pool.load.peak(t), pool.Capacity.Minus(over).Max(pool.aside.peak(t)) // what is promised is kept
	if p == PoolSharp || !pool.joint() {
		return load, room
	}
	both, all := l.joint.peak(t), l.jointRoom(t)
	lent, promised := pool.borrows() && l.mayLend(pool, t), l.pool(PoolSharp).overdue(t)
	for r := range load {
		if elastic(Resource(r)) {
			continue
		}
		// Room is what is left of all, and where nothing may be lent no more than
		// what is left of the pool's own.
		left := all[r] - min(both[r], all[r])
		if own := room[r] - min(load[r]+promised[r], room[r]); !lent {
			left = min(left, own)
		}
		room[r] = load[r] + left
	}
	return load, room
}

// jointRoom is what the sharp pool and those that borrow from it have together
// in a term, and no less than what is promised.
func (l *Ledger) jointRoom(t Term) (all RSet) {
	for _, p := range l.pools {
		if p.joint() {
			all = all.Plus(p.Capacity)
		}
	}
	return all.Minus(l.overhang(PoolSharp, t)).Max(l.pool(PoolSharp).aside.peak(t))
}

// mayLend reports whether what is lent in the term comes back in time: every
// capacity that was signed states a lead of at least the pool's notice.
func (l *Ledger) mayLend(pool *poolBook, t Term) bool {
	for _, k := range l.claims {
		if c, ok := k.Statement.(*Capacity); ok && c.Lead < pool.Notice && c.Term().Overlaps(t) {
			return false
		}
	}
	return true
}

// lead is by how much a lease of the sharp pool may begin late: the longest
// notice that anybody has, or may get, who lives on what tickets have not drawn.
func (l *Ledger) lead() (seconds uint32) {
	for _, p := range l.pools {
		if p.borrows() {
			seconds = max(seconds, p.Notice)
		}
	}
	for _, b := range l.evictables {
		if b.joint {
			seconds = max(seconds, uint32(b.notice()))
		}
	}
	return seconds
}

// lacks returns the first resource of which more is wanted than there is left: a
// pool that was made smaller may have less than nothing of another.
func lacks(load, wanted, room RSet) (Resource, bool) {
	for r := range wanted {
		if wanted[r] > 0 && load[r]+wanted[r] > room[r] {
			return Resource(r), true
		}
	}
	return 0, false
}

// fits holds the spans against the pool's capacity and the holder's share.
func (l *Ledger) fits(w *want, spans []span) *Refusal {
	pool := l.pool(w.pool)
	for _, s := range spans {
		load, room := l.room(w.pool, s.Term)
		if r, over := lacks(load, s.rset, room); over {
			return refuse(Local, ReasonCapacity, "%s: %s of %s are free in that term, %s more are needed", r,
				r.Format(room[r]-min(load[r], room[r])), r.Format(room[r]), r.Format(s.rset[r]))
		}
		if refusal := l.crowded(w, s); refusal != nil {
			return refusal
		}
		if pool.PerPrincipal.IsZero() {
			continue
		}
		var own RSet
		if a := l.holders[w.by]; a != nil && a.load[w.pool] != nil {
			own = a.load[w.pool].peak(s.Term)
		}
		for r, limit := range pool.PerPrincipal {
			if limit != 0 && own[r]+s.rset[r] > limit {
				res := Resource(r)
				return refuse(Local, ReasonPolicy, "%s: one principal gets %s from pool %s, has %s and wants %s more", res,
					res.Format(limit), w.pool, res.Format(own[r]), res.Format(s.rset[r]))
			}
		}
	}
	return nil
}
