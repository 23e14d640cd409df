// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"math/bits"

	"croft/lease"
)

// Held is a ticket in the purse and what was signed under it.
type Held struct {
	*lease.Ticket
	ID     lease.ID
	Chain  lease.Chain
	Issued []Issued // in the order in which it was signed
	of     *ticket
}

// Issued is what a purse signed: a redeem, or a ticket.
type Issued struct {
	ID     lease.ID
	Slot   uint8
	RSet   lease.RSet
	Term   lease.Term
	Redeem *lease.Redeem
	Ticket *lease.Ticket // one of the two is nil
	Bytes  []byte
}

// Held returns the tickets in the order in which they came.
func (p *Purse) Held() []Held {
	list := make([]Held, len(p.tickets))
	for i, t := range p.tickets {
		list[i] = Held{Ticket: t.Ticket, ID: t.id, Chain: t.chain, of: t}
		for _, c := range t.children {
			list[i].Issued = append(list[i].Issued, Issued{c.id, c.slot, c.rset, c.term, c.redeem, c.ticket, c.bytes})
		}
	}
	return list
}

// Restored reports whether the purse is a copy that was put back.
func (p *Purse) Restored() bool { return p.restored != 0 }

// Free returns the number of slots that nothing was signed into for a term.
func (h Held) Free(term lease.Term) int {
	var taken uint64
	for _, c := range h.of.children {
		if c.term.Overlaps(term) {
			taken |= 1 << c.slot
		}
	}
	return lease.Slots - bits.OnesCount64(taken)
}

// Left returns what one more child of degree 100 could have throughout a term.
func (h Held) Left(term lease.Term) lease.RSet {
	left := h.RSet
	instants := []int64{term.From}
	for _, c := range h.of.children {
		if term.Covers(c.term.From) {
			instants = append(instants, c.term.From)
		}
	}
	for _, at := range instants {
		slots := h.of.weights(at)
		for r := range left {
			left[r] = min(left[r], room(slots[:], r, h.RSet[r], h.Degree))
		}
	}
	return left
}

// room is how much of a resource the budget has left, in whole amounts.
func room(slots []load, r int, amount uint64, degree uint16) uint64 {
	hi, lo := total(slots, r)
	most, least := bits.Mul64(amount, uint64(degree))
	least, borrow := bits.Sub64(least, lo, 0)
	most, borrow = bits.Sub64(most, hi, borrow)
	switch {
	case borrow != 0: // a journal that was tampered with
		return 0
	case most >= lease.MinDegree: // more than 64 bits hold; no claim has as much
		return lease.MaxAmount
	}
	left, _ := bits.Div64(most, least, lease.MinDegree)
	return left
}
