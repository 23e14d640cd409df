// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"fmt"
	"math"
	"slices"

	"croft/lease"
)

// child is what was signed under a ticket: a redeem, or a ticket.
type child struct {
	slot    uint8
	rset    lease.RSet
	term    lease.Term
	redeem  *lease.Redeem
	ticket  *lease.Ticket // one of the two is nil
	id      lease.ID
	bytes   []byte
	of      *ticket
	request request
}

func (c *child) fact() Fact {
	f := Fact{K: FactSigned, Statements: [][]byte{c.bytes}}
	if c.ticket != nil {
		f.Request = c.request.id
	}
	return f
}

// apply changes the book as a fact says: the same when it is decided and when
// it is restored.
func (p *Purse) apply(f Fact) error {
	switch {
	case f.K == FactFloor:
		p.raise(f.At)
		return nil
	case f.K == FactRestored && f.At > 0:
		p.restored = f.At
		return nil
	case f.K == FactMoved:
		p.restored = 0
		return nil
	case f.K == FactKept:
		t, err := p.open(f.Statements)
		if err != nil {
			return err
		}
		if p.ticket(t.id) != nil {
			return fmt.Errorf("ticket %s is kept already: %w", t.id.Short(), ErrFact)
		}
		p.tickets = append(p.tickets, t)
		return nil
	case f.K == FactSigned && len(f.Statements) == 1:
		return p.sign(f)
	}
	return ErrFact
}

func (p *Purse) sign(f Fact) error {
	b := f.Statements[0]
	o, err := lease.Open(b)
	if err != nil {
		return err
	}
	c := &child{id: o.ID, bytes: b}
	var parent lease.ID
	switch st := o.Statement.(type) {
	case *lease.Redeem:
		c.redeem, parent = st, st.Parent
		c.slot, c.rset, c.term, c.request = st.Slot, st.RSet, st.Term(), request{st.K, st.Request}
	case *lease.Ticket:
		c.ticket, parent = st, st.Parent
		c.slot, c.rset, c.term, c.request = st.Slot, st.RSet, st.Term(), request{st.K, f.Request}
	default:
		return fmt.Errorf("%s where a redeem or ticket belongs: %w", o.Kind(), ErrFact)
	}
	if c.of = p.ticket(parent); c.of == nil || p.requests[c.request] != nil {
		return fmt.Errorf("%s %s: %w", o.Kind(), o.ID.Short(), ErrFact)
	}
	chain, err := c.of.chain.Extend(b)
	if err != nil {
		return err
	}
	c.of.children = append(c.of.children, c)
	p.requests[c.request] = c
	if c.ticket != nil && c.ticket.Holder == p.key.Principal() && p.ticket(o.ID) == nil {
		p.tickets = append(p.tickets, &ticket{Ticket: c.ticket, id: o.ID, chain: chain, own: true})
	}
	return nil
}

const never = math.MaxInt64

// forgettable returns the first instant at which something may be forgotten.
func (p *Purse) forgettable() int64 {
	first := int64(never)
	p.ends(func(until int64) { first = min(first, until+Slack) })
	return first
}

// forget raises the floor to the end of what has ended long enough ago, and no
// further: a clock that was wrong once costs no more than it must.
func (p *Purse) forget() {
	floor := p.floor
	p.ends(func(until int64) {
		if until+Slack <= p.now {
			floor = max(floor, until)
		}
	})
	if floor > p.floor {
		p.decide(Fact{K: FactFloor, At: floor})
	}
}

func (p *Purse) ends(each func(until int64)) {
	for _, t := range p.tickets {
		each(t.Until)
		for _, c := range t.children {
			each(c.term.Until)
		}
	}
}

// raise moves the floor up and forgets what ended by then.
func (p *Purse) raise(floor int64) {
	p.floor = max(p.floor, floor)
	for _, t := range p.tickets {
		t.children = slices.DeleteFunc(t.children, func(c *child) bool {
			ended := c.term.Until <= p.floor
			if ended {
				delete(p.requests, c.request)
			}
			return ended
		})
	}
	p.tickets = slices.DeleteFunc(p.tickets, func(t *ticket) bool { return t.Until <= p.floor })
}
