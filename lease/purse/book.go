// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"croft/lease"
)

// admit judges a wish against the ticket and everything signed under it, and
// picks the slot if the wish leaves it open.
func (p *Purse) admit(t *ticket, in *Redeem) error {
	over, exceeds := in.RSet.Exceeds(t.RSet)
	switch {
	case exceeds:
		return fmt.Errorf("%s=%s of %s: %w", over, over.Format(in.RSet[over]), over.Format(t.RSet[over]), lease.ErrExceeds)
	case !in.Term.Within(t.Term()):
		return fmt.Errorf("term %s of %s: %w", in.Term, t.Term(), lease.ErrExceeds)
	case in.Term.From < p.floor:
		return fmt.Errorf("term %s: %w", in.Term, ErrFloor)
	case in.Term.Until <= p.now:
		return fmt.Errorf("term %s: %w", in.Term, ErrEnded)
	case len(t.children) >= MaxRedeems:
		return fmt.Errorf("%d redeems, limit %d: %w", len(t.children), MaxRedeems, ErrFull)
	case in.Slot == AnySlot:
		if in.Slot = t.free(in.Term); in.Slot == lease.Slots {
			return fmt.Errorf("every slot has a redeem in %s: %w", in.Term, ErrSlot)
		}
	case in.Slot < 0 || in.Slot >= lease.Slots:
		return fmt.Errorf("slot %d of %d: %w", in.Slot, lease.Slots, ErrSlot)
	}
	return t.fits(uint8(in.Slot), in.RSet, in.Term)
}

// free returns the first slot that nothing was signed into for the term, or
// lease.Slots: the node gives two slivers at once only for two slots.
func (t *ticket) free(term lease.Term) int {
	var taken uint64
	for _, c := range t.children {
		if c.Term().Overlaps(term) {
			taken |= 1 << c.Slot
		}
	}
	return bits.TrailingZeros64(^taken)
}

// fits holds the slots' sum within the ticket wherever it may newly exceed: the
// weights only rise where a term begins.
func (t *ticket) fits(slot uint8, s lease.RSet, term lease.Term) error {
	instants := []int64{term.From}
	for _, c := range t.children {
		if term.Covers(c.From) {
			instants = append(instants, c.From)
		}
	}
	slices.Sort(instants)
	for _, at := range slices.Compact(instants) {
		var weight [lease.Slots]lease.RSet
		weight[slot] = s
		for _, c := range t.children {
			if c.Term().Covers(at) {
				weight[c.Slot] = weight[c.Slot].Max(c.RSet)
			}
		}
		if r, over := exceeds(weight[:], t.RSet, t.Degree); over {
			return fmt.Errorf("%s is used up at %s: %w", r, time.Unix(at, 0).UTC().Format(time.RFC3339), ErrSpent)
		}
	}
	return nil
}

// exceeds reports whether Σ weight × 100 > rset × degree in a resource, in 128
// bits and without rounding.
func exceeds(weight []lease.RSet, s lease.RSet, degree uint16) (lease.Resource, bool) {
	for r := range s {
		var hi, lo, carry uint64
		for _, w := range weight {
			lo, carry = bits.Add64(lo, w[r], 0)
			hi += carry
		}
		over, rest := bits.Mul64(lo, lease.MinDegree)
		over += hi * lease.MinDegree
		most, least := bits.Mul64(s[r], uint64(degree))
		if over > most || over == most && rest > least {
			return lease.Resource(r), true
		}
	}
	return 0, false
}

const never = math.MaxInt64

// forgettable returns the first instant at which something may be forgotten.
func (p *Purse) forgettable() int64 {
	first := int64(never)
	for _, t := range p.tickets {
		first = min(first, t.Until+Slack)
		for _, c := range t.children {
			first = min(first, c.Until+Slack)
		}
	}
	return first
}

// apply changes the book as a fact says: the same when it is decided and when
// it is restored.
func (p *Purse) apply(f Fact) error {
	switch {
	case f.K == FactFloor:
		p.raise(f.At)
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
		return p.sign(f.Statements[0])
	}
	return ErrFact
}

func (p *Purse) sign(b []byte) error {
	o, err := lease.Open(b)
	if err != nil {
		return err
	}
	st, ok := o.Statement.(*lease.Redeem)
	if !ok {
		return fmt.Errorf("%s where a redeem belongs: %w", o.Kind(), ErrFact)
	}
	t := p.ticket(st.Parent)
	if t == nil || p.requests[st.Request] != nil {
		return fmt.Errorf("redeem %s: %w", o.ID.Short(), ErrFact)
	}
	if _, err := t.chain.Extend(b); err != nil {
		return err
	}
	c := &child{Redeem: st, bytes: b, of: t}
	t.children = append(t.children, c)
	p.requests[st.Request] = c
	return nil
}

// raise moves the floor up and forgets what ended by then.
func (p *Purse) raise(floor int64) {
	p.floor = max(p.floor, floor)
	for _, t := range p.tickets {
		t.children = slices.DeleteFunc(t.children, func(c *child) bool {
			ended := c.Until <= p.floor
			if ended {
				delete(p.requests, c.Request)
			}
			return ended
		})
	}
	p.tickets = slices.DeleteFunc(p.tickets, func(t *ticket) bool { return t.Until <= p.floor })
}
