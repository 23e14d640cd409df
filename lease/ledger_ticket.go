// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"slices"
)

// tranche is one capacity that the node has signed, and the tickets out of it.
// What is sold of it is sold to the end of each ticket's term: there is no return.
type tranche struct {
	timer
	id       ID
	capacity *Capacity
	bytes    []byte
	sold     calendar
	tickets  []*ticketBook
	fact     keptFact
}

// ticketBook is what the node knows of one ticket: the redeems that it granted
// in each slot. A redeem weighs in its slot to the end of its term, whatever
// became of its lease.
type ticketBook struct {
	timer
	id      ID
	ticket  *Ticket
	bytes   []byte
	asked   Digest
	request Request
	root    *tranche
	slots   [Slots]*slotBook
	redeems int
	refused int
	fact    keptFact
}

type slotBook struct {
	weight skyline
	live   []*booking
}

// draw holds a redeem against its ticket: the slot must be free but for what is
// replaced, and the slots' maxima must stay within the ticket at every instant.
func (l *Ledger) draw(w *want, old *booking) *Refusal {
	book := l.tickets[w.ticket]
	if book == nil {
		return refuse(Local, ReasonUnknown, "ticket %s is not one that this node gave", w.ticket.Short())
	}
	if book.redeems >= MaxRedeems {
		return refuse(Local, ReasonPolicy, "%d redeems of ticket %s are kept, limit %d", book.redeems, w.ticket.Short(), MaxRedeems)
	}
	var instants []int64
	for i, slot := range book.slots {
		if slot == nil {
			continue
		}
		for _, b := range slot.live {
			if i == int(w.slot) && b != old && b.span().Overlaps(w.term) {
				return refuse(Local, ReasonSlot, "slot %d has lease %s in that term: name it as replaced, or use another slot", i, b.claim().Short())
			}
		}
		for _, s := range slot.weight {
			if w.term.Covers(s.at) {
				instants = append(instants, s.at)
			}
		}
	}
	instants = append(instants, w.term.From)
	slices.Sort(instants)
	for _, at := range slices.Compact(instants) {
		var sum RSet
		for i, slot := range book.slots {
			var weight RSet
			if slot != nil {
				weight = slot.weight.level(at)
			}
			if i == int(w.slot) {
				weight = weight.Max(w.rset)
			}
			sum = sum.Plus(weight)
		}
		if r, over := sum.Exceeds(book.ticket.RSet); over {
			return refuse(Exhausted, ReasonNone, "%s: ticket %s gives %s, its slots would draw %s at %s", r, w.ticket.Short(),
				r.Format(book.ticket.RSet[r]), r.Format(sum[r]), unix(at))
		}
	}
	return nil
}

func (k *ticketBook) enter(b *booking, now int64) {
	if k.slots[b.slot] == nil {
		k.slots[b.slot] = new(slotBook)
	}
	slot := k.slots[b.slot]
	slot.weight = slot.weight.raise(b.term, b.rset, now)
	slot.live = append(slot.live, b)
	k.redeems++
}

func (k *ticketBook) leave(b *booking) {
	slot := k.slots[b.slot]
	slot.live = slices.DeleteFunc(slot.live, func(o *booking) bool { return o == b })
}

func (k *ticketBook) same(asked ID) bool { return Digest(asked) == k.asked }

func (k *ticketBook) answer(ref uint64) Answer {
	return Answer{Ref: ref, Statements: [][]byte{k.root.bytes, k.bytes}}
}

// issue gives a ticket out of a capacity of the same degree that covers its term
// and has room, or sets a new one aside.
func (l *Ledger) issue(in Issue) {
	asked := digestOf([]byte(Issue{Holder: in.Holder, RSet: in.RSet, Term: in.Term, Degree: in.Degree, Request: in.Request}.String()))
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
	case !known || !rule.Sharp:
		refusal = refuse(Local, ReasonVisitor, "this node has no pool for tickets")
	case l.refusals[in.Holder]:
		refusal = refuse(Local, ReasonPolicy, "this node's owner refuses %s", in.Holder.Short())
	case l.bar != ReasonNone:
		refusal = refuse(Local, l.bar, "tickets are not given at present")
	case in.Term.Until <= l.now || in.Term.From < l.now-ClockSkew:
		refusal = refuse(Local, ReasonClock, "term %s, it is %s here", in.Term, unix(l.now))
	case len(l.tickets) >= MaxTickets:
		refusal = refuse(Local, ReasonPolicy, "%d tickets are kept, limit %d", len(l.tickets), MaxTickets)
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
		From: in.Term.From, Until: in.Term.Until, Degree: in.Degree}
	if err := ticket.check(); err != nil { // before a capacity is signed for it
		return refuse(Local, ReasonInvalid, "%v", err)
	}
	root, slot := l.rootFor(ticket)
	if root == nil {
		capacity, refusal := l.setAside(ticket)
		if refusal != nil {
			return refusal
		}
		l.decide(Fact{K: FactCapacity, Signed: capacity})
		root, slot = l.rootFor(ticket)
	}
	ticket.Parent, ticket.Slot = root.id, slot
	signed, refusal := l.sign(ticket)
	if refusal != nil {
		return refusal
	}
	l.decide(Fact{K: FactTicket, Signed: signed, Request: in.Request, Asked: asked})
	return nil
}

// rootFor finds the oldest capacity that t fits into, and the lowest free slot.
func (l *Ledger) rootFor(t *Ticket) (*tranche, uint8) {
	for _, root := range l.roots() {
		c := root.capacity
		if c.Degree != t.Degree || !t.Term().Within(c.Term()) || !root.sold.peak(t.Term()).Plus(t.RSet).Within(c.RSet) {
			continue
		}
		var taken [Slots]bool
		for _, k := range root.tickets {
			if k.ticket.Term().Overlaps(t.Term()) {
				taken[k.ticket.Slot] = true
			}
		}
		if slot := slices.Index(taken[:], false); slot >= 0 {
			return root, uint8(slot)
		}
	}
	return nil, 0
}

func (l *Ledger) roots() []*tranche {
	roots := make([]*tranche, 0, len(l.tranches))
	for _, t := range l.tranches {
		roots = append(roots, t)
	}
	slices.SortFunc(roots, func(a, b *tranche) int { return int(a.seq) - int(b.seq) })
	return roots
}

// setAside signs a capacity for t under a tranche number that is free in its
// term: a share of the pool, or as much as t needs.
func (l *Ledger) setAside(t *Ticket) ([]byte, *Refusal) {
	pool := l.pool(PoolSharp)
	for _, length := range []int64{max(t.Term().Seconds(), capacityTerm), t.Term().Seconds()} {
		c := &Capacity{K: KindCapacity, Node: l.node, From: t.From, Until: t.From + length, Degree: t.Degree}
		room := pool.told.Minus(pool.aside.peak(c.Term())).Minus(l.overhang(PoolSharp, c.Term()))
		if !t.RSet.Within(room) {
			continue
		}
		for r := range c.RSet {
			c.RSet[r] = min(room[r], max(t.RSet[r], pool.Capacity[r]/trancheShares))
		}
		var taken [MaxTranche]bool
		for _, root := range l.tranches {
			if root.capacity.Term().Overlaps(c.Term()) {
				taken[root.capacity.Tranche] = true
			}
		}
		if number := slices.Index(taken[:], false); number >= 0 {
			c.Tranche = uint8(number)
			return l.sign(c)
		}
	}
	return nil, refuse(Local, ReasonCapacity, "no capacity is left to set aside for %s in %s", t.RSet, t.Term())
}

func (l *Ledger) applyCapacity(f Fact) error {
	id, c, err := storedAs[*Capacity](f.Signed)
	if err != nil {
		return err
	}
	if l.tranches[id] != nil {
		return fmt.Errorf("capacity %s was set aside before: %w", id.Short(), ErrFact)
	}
	root := &tranche{id: id, capacity: c, bytes: f.Signed, fact: l.number(f)}
	l.tranches[id] = root
	l.pool(PoolSharp).aside.add(span{c.Term(), c.RSet})
	l.keep(root, c.Until+RequestKept)
	return nil
}

func (l *Ledger) applyTicket(f Fact) error {
	id, t, err := storedAs[*Ticket](f.Signed)
	if err != nil {
		return err
	}
	root := l.tranches[t.Parent]
	key := requestKey{l.node, KindTicket, f.Request}
	if root == nil || l.tickets[id] != nil || l.requests[key] != nil {
		return fmt.Errorf("ticket %s: %w", id.Short(), ErrFact)
	}
	book := &ticketBook{id: id, ticket: t, bytes: f.Signed, asked: f.Asked, request: f.Request, root: root, fact: l.number(f)}
	l.tickets[id], l.requests[key] = book, book
	root.sold.add(span{t.Term(), t.RSet})
	root.tickets = append(root.tickets, book)
	l.keep(book, t.Until+RequestKept)
	return nil
}

func (l *Ledger) forgetTicket(k *ticketBook) {
	delete(l.tickets, k.id)
	delete(l.requests, requestKey{l.node, KindTicket, k.request})
	k.root.sold.remove(span{k.ticket.Term(), k.ticket.RSet})
	k.root.tickets = slices.DeleteFunc(k.root.tickets, func(o *ticketBook) bool { return o == k })
	l.drop(k)
}

func (l *Ledger) forgetTranche(root *tranche) {
	delete(l.tranches, root.id)
	l.pool(PoolSharp).aside.remove(span{root.capacity.Term(), root.capacity.RSet})
	l.drop(root)
}
