// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"fmt"
	"slices"
)

func (k *claimBook) same(asked ID) bool { return Digest(asked) == k.asked }

func (k *claimBook) answer(ref uint64) Answer {
	return Answer{Ref: ref, Statements: [][]byte{k.up.bytes, k.bytes}}
}

// issue gives a ticket out of a capacity that covers its term and has room in
// its budget, or sets a new one aside.
func (l *Ledger) issue(in Issue) {
	asked := digestOf([]byte(Issue{Holder: in.Holder, RSet: in.RSet, Term: in.Term, Degree: in.Degree, FanOut: in.FanOut, Request: in.Request}.String()))
	if past := l.requests[requestKey{l.node, KindTicket, in.Request}]; past != nil {
		if past.same(ID(asked)) {
			l.emit(past.answer(in.Ref))
		} else {
			l.answerRefusal(in.Ref, refuse(Local, ReasonRequest, "request %x was used before for another ticket", in.Request[:4]))
		}
		return
	}
	rule, known := l.pools[PoolSharp]
	var refusal *Refusal
	switch {
	case !known || rule.gone || rule.Mechanism != MechanismSharp:
		refusal = refuse(Local, ReasonVisitor, "this node has no pool for tickets")
	case l.refusals[in.Holder]:
		refusal = refuse(Local, ReasonPolicy, "this node's owner refuses %s", in.Holder.Short())
	case l.bar != ReasonNone:
		refusal = refuse(Local, l.bar, "tickets are not given at present")
	case in.Term.Until <= l.now || in.Term.From < l.now-ClockSkew:
		refusal = refuse(Local, ReasonClock, "term %s, it is %s here", in.Term, unix(l.now))
	case l.against(in.Holder, l.now) != nil:
		refusal = l.inQuarantine(l.against(in.Holder, l.now))
	case l.given >= MaxTickets:
		refusal = refuse(Local, ReasonPolicy, "%d tickets are kept, limit %d", l.given, MaxTickets)
	}
	if refusal == nil {
		refusal = l.give(in, asked)
	}
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	l.emit(l.requests[requestKey{l.node, KindTicket, in.Request}].answer(in.Ref))
}

func (l *Ledger) give(in Issue, asked Digest) *Refusal {
	ticket := &Ticket{K: KindTicket, Issuer: l.node, Node: l.node, Holder: in.Holder, Parent: ID{1}, RSet: in.RSet,
		From: in.Term.From, Until: in.Term.Until, Degree: in.Degree, FanOut: in.FanOut}
	if err := ticket.check(); err != nil { // before a capacity is signed for it
		return refuse(Local, ReasonInvalid, "%v", err)
	}
	// What was not meant to be promised twice stands under its like if it can:
	// under a higher degree it may be refused with all the others.
	root, slot := l.rootFor(ticket, ticket.Degree)
	if root == nil {
		capacity, refusal := l.setAside(ticket)
		if refusal == nil {
			l.decide(Fact{K: FactCapacity, Signed: capacity})
			root, slot = l.rootFor(ticket, ticket.Degree)
		} else if root, slot = l.rootFor(ticket, MaxDegree); root == nil {
			return refusal
		}
	}
	ticket.Parent, ticket.Slot = root.ID, slot
	signed, refusal := l.sign(ticket)
	if refusal != nil {
		return refusal
	}
	l.decide(Fact{K: FactTicket, Signed: signed, Request: in.Request, Asked: asked})
	return nil
}

// rootFor finds the oldest capacity of at most a degree into whose budget t
// fits, and the lowest slot that is free in its term.
func (l *Ledger) rootFor(t *Ticket, most uint16) (*claimBook, uint8) {
	for _, root := range l.roots() {
		if root.degree < t.Degree || root.degree > most || !t.Term().Within(root.term) || !t.RSet.Within(root.rset) || root.fanOut != l.rootFanOut(t) || !root.budgets(t) {
			continue
		}
		var taken [Slots]bool
		for _, k := range root.below {
			if k.term.Overlaps(t.Term()) {
				taken[k.Statement.(*Ticket).Slot] = true
			}
		}
		if slot := slices.Index(taken[:], false); slot >= 0 {
			return root, uint8(slot)
		}
	}
	return nil, 0
}

// rootFanOut is what a capacity for t states: nothing, unless t has more than any
// sliver has here that says nothing.
func (l *Ledger) rootFanOut(t *Ticket) uint16 {
	if l.cfg.FanOut == 0 || t.FanOut <= l.cfg.FanOut {
		return 0
	}
	return t.FanOut
}

// budgets reports whether t and the tickets out of k weigh at most what k may
// carry, at every instant.
func (k *claimBook) budgets(t *Ticket) bool {
	instants := []int64{t.From}
	for _, x := range k.below {
		if t.Term().Covers(x.term.From) {
			instants = append(instants, x.term.From)
		}
	}
	for _, at := range instants {
		for r := range k.rset {
			sum := weigh(t.RSet[r], t.Degree)
			for _, x := range k.below {
				if x.term.Covers(at) {
					sum = sum.plus(weigh(x.rset[r], x.degree))
				}
			}
			if sum.exceeds(weigh(k.rset[r], k.degree)) {
				return false
			}
		}
	}
	return true
}

// roots returns the capacities, oldest first.
func (l *Ledger) roots() []*claimBook {
	var list []*claimBook
	for _, k := range l.claims {
		if k.up == nil {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b *claimBook) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// setAside signs a capacity for t under a tranche number that is free in its
// term: a share of the pool, or as much as t needs. The tranches end one after
// another, so that at no instant all that was promised runs out.
func (l *Ledger) setAside(t *Ticket) ([]byte, *Refusal) {
	roots := l.roots()
	for _, stretch := range []bool{true, false} {
		for number := range uint8(MaxTranche) {
			length := t.Term().Seconds()
			if stretch {
				length = min(max(length, capacityTerm/MaxTranche*int64(MaxTranche-number/2)), MaxTerm)
			}
			c := &Capacity{K: KindCapacity, Node: l.node, Tranche: number, From: t.From, Until: t.From + length, Degree: t.Degree, FanOut: l.rootFanOut(t), Lead: l.lead()}
			taken := slices.ContainsFunc(roots, func(k *claimBook) bool {
				return k.Statement.(*Capacity).Tranche == number && k.term.Overlaps(c.Term())
			})
			if !taken && l.cut(c, t) {
				return l.sign(c)
			}
		}
	}
	return nil, refuse(Local, ReasonCapacity, "no capacity is left to set aside for %s in %s", t.RSet, t.Term())
}

// cut gives c its part of the pool, if there is enough in its term for t.
func (l *Ledger) cut(c *Capacity, t *Ticket) bool {
	pool := l.pool(PoolSharp)
	room := pool.Capacity.Minus(pool.aside.peak(c.Term())).Minus(l.overhang(PoolSharp, c.Term()))
	if !t.RSet.Within(room) {
		return false
	}
	for r := range c.RSet {
		c.RSet[r] = min(room[r], max(t.RSet[r], pool.Capacity[r]/trancheShares))
	}
	return true
}

func (l *Ledger) applyCapacity(f Fact) error {
	o, err := read(f.Signed)
	if err != nil {
		return err
	}
	if _, ok := o.Statement.(*Capacity); !ok || l.claims[o.ID] != nil {
		return fmt.Errorf("%s %s, or it was set aside before: %w", o.Kind(), o.ID.Short(), ErrFact)
	}
	k, err := newClaim(o, f.Signed, nil)
	if err != nil {
		return err
	}
	k.fact = l.number(f)
	l.plant(k)
	l.pool(PoolSharp).aside.add(span{k.term, k.rset})
	return nil
}

func (l *Ledger) applyTicket(f Fact) error {
	o, err := read(f.Signed)
	if err != nil {
		return err
	}
	t, ok := o.Statement.(*Ticket)
	if !ok {
		return fmt.Errorf("%s: %w", o.Kind(), ErrKind)
	}
	root := l.claims[t.Parent]
	key := requestKey{l.node, KindTicket, f.Request}
	if root == nil || root.up != nil || l.claims[o.ID] != nil || l.requests[key] != nil {
		return fmt.Errorf("ticket %s: %w", o.ID.Short(), ErrFact)
	}
	k, err := newClaim(o, f.Signed, root)
	if err != nil {
		return err
	}
	root.weights.Add(o)
	k.asked, k.request, k.fact = f.Asked, f.Request, l.number(f)
	l.requests[key] = k
	l.given++
	l.plant(k)
	return nil
}
