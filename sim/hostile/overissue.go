// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"time"

	"croft/lease"
	"croft/lease/sign"
)

// broken is a ticket out of which more was promised than it holds.
type broken struct {
	Ticket
	sold []sold
}

type sold struct {
	to    *sign.Key
	chain [][]byte // down to the redeem
	ref   Ref
}

// overIssue sells each ticket twice, whole, to keys of its own, who redeem it at the
// node one after the other.
func (c *Core) overIssue(now time.Time) {
	n := len(c.broken)
	if n >= min(promised, len(c.cfg.Tickets)) {
		return
	}
	b := &broken{Ticket: c.cfg.Tickets[n]}
	c.broken = append(c.broken, b)
	last, err := lease.Open(b.Chain[len(b.Chain)-1])
	if err != nil {
		return
	}
	ticket, ok := last.Statement.(*lease.Ticket)
	if !ok {
		return
	}
	for i := range 2 {
		buyer := c.cfg.Gang.figment(c, "buyer", 2*n+i)
		child := &lease.Ticket{K: lease.KindTicket, Issuer: ticket.Holder, Node: ticket.Node, Holder: buyer.Principal(), Parent: last.ID, Slot: uint8(i),
			RSet: ticket.RSet, From: ticket.From, Until: ticket.Until, Degree: ticket.Degree}
		below, err := lease.Seal(child, c.cfg.Key)
		if err != nil {
			return
		}
		until := min(now.Unix()+600, ticket.Until)
		wish := &lease.Redeem{K: lease.KindRedeem, Issuer: buyer.Principal(), Node: ticket.Node, Parent: below.ID(), RSet: ticket.RSet,
			From: now.Unix(), Until: until, Slice: "stolen", Request: lease.Request{byte(n), byte(i)}}
		leaf, err := lease.Seal(wish, buyer)
		if err != nil {
			return
		}
		chain := append(b.Chain[:len(b.Chain):len(b.Chain)], below.Bytes(), leaf.Bytes())
		ref := Ref(2*n + i + 1)
		b.sold = append(b.sold, sold{buyer, chain, ref})
		c.send(Tell{Ref: ref, To: b.Node, In: func(r uint64) lease.Input {
			return lease.Wish{Ref: r, Caller: buyer.Principal(), Chain: chain}
		}})
	}
}

// commit turns what it was granted into a lease: it has paid for nothing.
func (c *Core) commit(_ time.Time, in Answered) {
	if in.Answer.Refusal != nil || len(in.Answer.Statements) == 0 {
		return
	}
	o, err := lease.Open(in.Answer.Statements[0])
	if _, hold := o.Statement.(*lease.Hold); err != nil || !hold {
		return
	}
	for _, b := range c.broken {
		for _, s := range b.sold {
			if s.ref == in.Ref {
				c.send(Tell{To: b.Node, In: func(r uint64) lease.Input { return lease.Commit{Ref: r, Caller: s.to.Principal(), Hold: o.ID} }})
			}
		}
	}
}

// grant gives everybody what they ask for, whatever it has given away before.
func (c *Core) grant(now time.Time, in Wished) {
	var st lease.Statement
	self := c.cfg.Key.Principal()
	switch w := in.In.(type) {
	case lease.Wish:
		o, err := lease.Open(w.Chain[len(w.Chain)-1])
		if err != nil {
			return
		}
		ask, ok := o.Statement.(*lease.Ask)
		if !ok {
			return
		}
		st = &lease.Hold{K: lease.KindHold, Node: self, RSet: ask.RSet, From: ask.From, Until: ask.Until, Holder: ask.Issuer, Parent: o.ID, CommitBy: now.Unix() + 30}
	case lease.End:
		c.send(Said{Ref: in.Ref})
		return
	default:
		return // the researcher waits for a lease that never comes
	}
	if signed, err := lease.Seal(st, c.cfg.Key); err == nil {
		c.send(Said{Ref: in.Ref, Statements: [][]byte{signed.Bytes()}})
	}
}
