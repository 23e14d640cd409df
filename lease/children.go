// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"cmp"
	"slices"
)

// Children is what is known to stand under one claim: tickets, and the redeems
// that no other of their slot outweighs throughout their term. It finds the
// conflicts among them, whoever signed them and in whatever order they came: the
// same set holds the same conflicts.
//
// Adding to n children takes some n log n steps, and 2 KiB of memory each.
// Whoever keeps one for strangers bounds it by Len. Use by one goroutine at a time.
type Children struct {
	id     ID
	claim  claim
	slots  [Slots][]child // ascending by id
	ridges [Slots]ridge   // what each slot weighs
	n      int
}

// Found is a conflict: the children that show it, none of which can be missing.
type Found struct {
	Kind     ProofKind // ProofTwice or ProofOver, of [Capacities] ProofCapacity
	Parent   ID        // none for ProofCapacity
	Children []Opened  // in the order that a proof has them
	Term     Term      // what their terms share
	Resource Resource  // of ProofOver
	At       int64     // of ProofOver: the first instant of Term
}

// Proof returns the proof that anybody can verify; parent is the chain whose
// leaf the children stand under, empty for ProofCapacity.
func (f *Found) Proof(parent Chain) Proof {
	p := Proof{K: f.Kind, Chain: parent.Bytes(), Resource: f.Resource, At: f.At}
	for _, c := range f.Children {
		p.Evidence = append(p.Evidence, c.Signed.Bytes())
	}
	return p
}

// NewChildren begins with none under the parent, a capacity or ticket.
func NewChildren(parent Opened) *Children {
	c := &Children{id: parent.ID}
	c.claim, _ = claimOf(parent.Statement)
	return c
}

// Len returns how many children are kept.
func (c *Children) Len() int { return c.n }

// Add takes a ticket or redeem that verified under the parent, and returns the
// conflict that it completes, or nil. If it completes several, a slot sold twice
// goes first, then the earliest instant, then the resource first on the wire.
// What is no child of the parent is passed over.
func (c *Children) Add(o Opened) *Found {
	k, ok := childOf(o)
	if !ok || k.parent != c.id || int(k.slot) >= len(c.slots) {
		return nil
	}
	in := c.slots[k.slot]
	at, known := slices.BinarySearchFunc(in, k.ID, func(a child, id ID) int { return bytes.Compare(a.ID[:], id[:]) })
	if known || slices.ContainsFunc(in, func(o child) bool { return o.outweighs(&k) }) {
		return nil
	}
	found := c.twiceWith(&k)
	if found == nil {
		found = c.overWith(&k)
	}
	in = slices.Insert(in, at, k)
	before := len(in)
	in = slices.DeleteFunc(in, func(o child) bool { return o.ID != k.ID && k.outweighs(&o) })
	c.slots[k.slot], c.ridges[k.slot] = in, c.ridges[k.slot].raise(&k)
	c.n += 1 - (before - len(in))
	return found
}

// Forget drops the children whose term ended at or before the instant.
func (c *Children) Forget(before int64) {
	c.n = 0
	for i, in := range c.slots {
		c.slots[i] = slices.DeleteFunc(in, func(k child) bool { return k.term.Until <= before })
		c.n += len(c.slots[i])
		if g := c.ridges[i]; len(c.slots[i]) == 0 {
			c.ridges[i] = nil
		} else if past := g.after(before); past > 0 {
			g[past-1].at = before // what was forgotten weighs nothing
			c.ridges[i] = slices.Delete(g, 0, past-1)
		}
	}
}

// outweighs reports whether all that o could show of an over-issue k shows too:
// both are redeems, k has as much of everything throughout o's term. Of two that
// are alike the one with the smaller id counts.
func (k *child) outweighs(o *child) bool {
	if k.ticket || o.ticket || k.slot != o.slot || !o.term.Within(k.term) || !o.rset.Within(k.rset) {
		return false
	}
	return k.term != o.term || k.rset != o.rset || bytes.Compare(k.ID[:], o.ID[:]) < 0
}

// Outweighed reports whether a child adds nothing to what is kept: it is known,
// or another redeem of its slot outweighs it.
func (c *Children) Outweighed(o Opened) bool {
	k, ok := childOf(o)
	return ok && k.parent == c.id && slices.ContainsFunc(c.slots[k.slot], func(o child) bool { return o.ID == k.ID || o.outweighs(&k) })
}

// twiceWith finds the child with the smallest id with which k shares a slot that
// it may not share.
func (c *Children) twiceWith(k *child) *Found {
	for i := range c.slots[k.slot] {
		o := &c.slots[k.slot][i]
		if (k.ticket || o.ticket) && k.term.Overlaps(o.term) {
			return c.pair(k, o)
		}
	}
	return nil
}

func (c *Children) pair(a, b *child) *Found {
	if bytes.Compare(a.ID[:], b.ID[:]) > 0 {
		a, b = b, a
	}
	return &Found{Kind: ProofTwice, Parent: c.id, Children: []Opened{a.Opened, b.Opened}, Term: a.term.meet(b.term)}
}

// overWith finds children that exceed the budget with k and do not without it.
func (c *Children) overWith(k *child) (found *Found) {
	w := k.weights()
	sweep(&c.ridges, k.term, func(at int64, sum *weights) bool {
		own := c.ridges[k.slot].level(at)
		for r := range Resource(NumResources) {
			others := sum[r].minus(own[r])
			if w[r].exceeds(own[r]) && others.plus(w[r]).exceeds(c.limit(r)) && !others.exceeds(c.limit(r)) {
				heavy := c.heaviest(r, at)
				heavy[k.slot] = nil
				if found = c.minimal(heavy[:], k, r); found != nil {
					return false
				}
			}
		}
		return true
	})
	return found
}

// Search returns a conflict whose promises collide at some instant of the term,
// or nil: one of a slot sold twice if there is any, else the earliest.
func (c *Children) Search(t Term) *Found {
	for _, in := range c.slots {
		for i := range in {
			for j := range in[:i] {
				if a, b := &in[j], &in[i]; (a.ticket || b.ticket) && a.term.meet(b.term).Overlaps(t) && a.term.Overlaps(b.term) {
					return c.pair(a, b)
				}
			}
		}
	}
	var found *Found
	sweep(&c.ridges, t, func(at int64, sum *weights) bool {
		for r := range Resource(NumResources) {
			if sum[r].exceeds(c.limit(r)) {
				heavy := c.heaviest(r, at)
				if found = c.minimal(heavy[:], nil, r); found != nil {
					return false
				}
			}
		}
		return true
	})
	return found
}

func (c *Children) limit(r Resource) Weight { return weigh(c.claim.rset[r], c.claim.degree) }

// minimal takes k, if there is one, and the heaviest others until they exceed
// the limit: then none that was taken can be missing. It returns nil if they do
// not, or if the others do without k.
func (c *Children) minimal(heavy []*child, k *child, r Resource) *Found {
	limit := c.limit(r)
	var sum Weight
	var chosen []*child
	for _, o := range heavy {
		if o != nil && o.rset[r] != 0 {
			sum, chosen = sum.plus(o.weight(r)), append(chosen, o)
		}
	}
	if k != nil && sum.exceeds(limit) {
		return nil
	}
	slices.SortStableFunc(chosen, func(a, b *child) int { return b.weight(r).Compare(a.weight(r)) })
	sum = Weight{}
	if k != nil {
		sum = k.weight(r)
	}
	last := 0
	for ; last < len(chosen) && !sum.exceeds(limit); last++ {
		sum = sum.plus(chosen[last].weight(r))
	}
	if !sum.exceeds(limit) {
		return nil
	}
	if chosen = chosen[:last]; k != nil {
		chosen = append(chosen, k)
	}
	slices.SortFunc(chosen, func(a, b *child) int { return cmp.Compare(a.slot, b.slot) })
	f := &Found{Kind: ProofOver, Parent: c.id, Term: c.claim.term, Resource: r}
	for _, o := range chosen {
		f.Children, f.Term = append(f.Children, o.Opened), f.Term.meet(o.term)
	}
	f.At = f.Term.From
	return f
}

// heaviest returns the child of each slot that weighs most of r at the instant,
// of equals the one with the smallest id.
func (c *Children) heaviest(r Resource, at int64) (heavy [Slots]*child) {
	for slot, in := range c.slots {
		for i := range in {
			k := &in[i]
			if k.term.Covers(at) && (heavy[slot] == nil || k.weight(r).exceeds(heavy[slot].weight(r))) {
				heavy[slot] = k
			}
		}
	}
	return heavy
}

// Weight returns the most that the children weigh together at any instant of
// the term, rounded up to whole units; against the rset times the degree of the
// parent it says what is left of the budget.
func (c *Children) Weight(t Term) (peak RSet) {
	sweep(&c.ridges, t, func(_ int64, sum *weights) bool {
		for r, w := range sum {
			peak[r] = max(peak[r], w.whole())
		}
		return true
	})
	return peak
}
