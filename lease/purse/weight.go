// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"croft/lease"
)

// wish is a child that is to be signed.
type wish struct {
	slot   int // or AnySlot
	rset   lease.RSet
	term   lease.Term
	degree uint16 // 0: it is a redeem
}

// weighs is the degree by which its amounts count.
func (w wish) weighs() uint16 { return max(w.degree, lease.MinDegree) }

// admit judges a wish against the ticket and everything signed under it, and
// picks the slot if the wish leaves it open.
func (p *Purse) admit(t *ticket, w wish) (slot uint8, err error) {
	over, exceeds := w.rset.Exceeds(t.RSet)
	switch {
	case exceeds:
		return 0, fmt.Errorf("%s=%s of %s: %w", over, over.Format(w.rset[over]), over.Format(t.RSet[over]), lease.ErrExceeds)
	case !w.term.Within(t.Term()):
		return 0, fmt.Errorf("term %s of %s: %w", w.term, t.Term(), lease.ErrExceeds)
	case w.degree > t.Degree:
		return 0, fmt.Errorf("degree %d of %d: %w", w.degree, t.Degree, lease.ErrExceeds)
	case w.degree != 0 && t.chain.Len() >= lease.MaxDepth:
		return 0, fmt.Errorf("%d claims, limit %d: %w", t.chain.Len()+1, lease.MaxDepth, lease.ErrDepth)
	case w.term.From < p.floor:
		return 0, fmt.Errorf("term %s: %w", w.term, ErrFloor)
	case w.term.Until <= p.now:
		return 0, fmt.Errorf("term %s: %w", w.term, ErrEnded)
	case len(t.children) >= MaxChildren:
		return 0, fmt.Errorf("%d redeems and tickets, limit %d: %w", len(t.children), MaxChildren, ErrFull)
	case p.restored != 0:
		return t.inside(w)
	}
	if slot, err = t.place(w); err != nil {
		return 0, err
	}
	return slot, t.fits(slot, w)
}

// place holds the rule of slots: at one instant one ticket, or any number of
// redeems, never both. A redeem that leaves it open gets a slot of its own: the
// node gives two slivers at once only for two slots.
func (t *ticket) place(w wish) (uint8, error) {
	var taken, closed uint64 // by anything; to this kind of child
	for _, c := range t.children {
		if c.term.Overlaps(w.term) {
			taken |= 1 << c.slot
			if w.degree != 0 || c.ticket != nil {
				closed |= 1 << c.slot
			}
		}
	}
	switch {
	case w.slot == AnySlot && ^taken == 0:
		return 0, fmt.Errorf("every slot is taken in %s: %w", w.term, ErrSlot)
	case w.slot == AnySlot:
		return uint8(bits.TrailingZeros64(^taken)), nil
	case w.slot < 0 || w.slot >= lease.Slots:
		return 0, fmt.Errorf("slot %d of %d: %w", w.slot, lease.Slots, ErrSlot)
	case closed>>w.slot&1 != 0:
		return 0, fmt.Errorf("slot %d is taken in %s: %w", w.slot, w.term, ErrSlot)
	}
	return uint8(w.slot), nil
}

// inside is the rule of a restored purse: a redeem that lies within one that it
// can show, in the same slot, weighs nothing more, whatever else was signed.
func (t *ticket) inside(w wish) (uint8, error) {
	if w.degree == 0 {
		for _, c := range t.children {
			if c.redeem != nil && (w.slot == AnySlot || w.slot == int(c.slot)) && w.rset.Within(c.rset) && w.term.Within(c.term) {
				return c.slot, nil
			}
		}
	}
	return 0, ErrRestored
}

// fits holds the weight of the slots within the ticket's budget wherever it may
// newly exceed: weights only rise where a term begins.
func (t *ticket) fits(slot uint8, w wish) error {
	instants := []int64{w.term.From}
	for _, c := range t.children {
		if w.term.Covers(c.term.From) {
			instants = append(instants, c.term.From)
		}
	}
	slices.Sort(instants)
	for _, at := range slices.Compact(instants) {
		slots := t.weights(at)
		slots[slot] = slots[slot].and(w.rset, w.weighs())
		if r, over := exceeds(slots[:], t.RSet, t.Degree); over {
			return fmt.Errorf("%s is used up at %s: %w", r, time.Unix(at, 0).UTC().Format(time.RFC3339), ErrSpent)
		}
	}
	return nil
}

// load is what a slot weighs at an instant, for each resource: amount × degree.
type load struct {
	rset   lease.RSet
	degree uint16
}

// and puts a child into the slot: the largest of redeems, or the one ticket.
func (l load) and(s lease.RSet, degree uint16) load {
	return load{l.rset.Max(s), max(l.degree, degree)}
}

func (t *ticket) weights(at int64) (slots [lease.Slots]load) {
	for _, c := range t.children {
		if c.term.Covers(at) {
			slots[c.slot] = slots[c.slot].and(c.rset, c.degree())
		}
	}
	return slots
}

func (c *child) degree() uint16 {
	if c.ticket != nil {
		return c.ticket.Degree
	}
	return lease.MinDegree
}

// exceeds reports whether the slots weigh more than rset × degree in a resource,
// in 128 bits and without rounding.
func exceeds(slots []load, s lease.RSet, degree uint16) (lease.Resource, bool) {
	for r := range s {
		over, rest := total(slots, r)
		most, least := bits.Mul64(s[r], uint64(degree))
		if over > most || over == most && rest > least {
			return lease.Resource(r), true
		}
	}
	return 0, false
}

// total is Σ amount × degree over the slots: below 2^60 × 10^4 × 64, which 128
// bits hold.
func total(slots []load, r int) (hi, lo uint64) {
	for _, l := range slots {
		h, w := bits.Mul64(l.rset[r], uint64(l.degree))
		var carry uint64
		lo, carry = bits.Add64(lo, w, 0)
		hi += h + carry
	}
	return hi, lo
}
