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
// Adding to n children that run at the same time takes at most some n² steps for
// each resource, and only if their largest weights together exceed the budget;
// otherwise n. Whoever keeps one for strangers bounds it by Len. Use by one goroutine at a time.
type Children struct {
	id    ID
	claim claim
	slots [Slots][]child // ascending by id
	n     int
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
	c.slots[k.slot] = slices.DeleteFunc(in, func(o child) bool { return o.ID != k.ID && k.outweighs(&o) })
	c.count()
	return found
}

func (c *Children) count() {
	c.n = 0
	for _, in := range c.slots {
		c.n += len(in)
	}
}

// Forget drops the children whose term ended at or before the instant.
func (c *Children) Forget(before int64) {
	for i, in := range c.slots {
		c.slots[i] = slices.DeleteFunc(in, func(k child) bool { return k.term.Until <= before })
	}
	c.count()
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
func (c *Children) overWith(k *child) *Found {
	near := c.during(k.term)
	var tight []Resource
	for r := range Resource(NumResources) {
		if k.rset[r] != 0 && c.bound(near, k, r).exceeds(c.limit(r)) {
			tight = append(tight, r)
		}
	}
	if len(tight) == 0 {
		return nil
	}
	for _, at := range begins(near, k.term) {
		for _, r := range tight {
			heavy := heaviest(near, r, at)
			w := k.weight(r)
			if own := heavy[k.slot]; own != nil && !w.exceeds(own.weight(r)) {
				continue // its slot weighs no more than before
			}
			heavy[k.slot] = nil
			if f := c.minimal(heavy[:], k, r); f != nil {
				return f
			}
		}
	}
	return nil
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
	near := c.during(t)
	for _, at := range begins(near, t) {
		for r := range Resource(NumResources) {
			heavy := heaviest(near, r, at)
			if f := c.minimal(heavy[:], nil, r); f != nil {
				return f
			}
		}
	}
	return nil
}

func (c *Children) limit(r Resource) Weight { return weigh(c.claim.rset[r], c.claim.degree) }

// minimal takes k, if there is one, and the heaviest others until they exceed
// the limit: then none of them can be missing. It returns nil if they do not, or
// if the others do without k.
func (c *Children) minimal(heavy []*child, k *child, r Resource) *Found {
	limit := c.limit(r)
	var sum Weight
	var chosen []*child
	for _, o := range heavy {
		if o != nil && o.rset[r] != 0 {
			sum, chosen = sum.plus(o.weight(r)), append(chosen, o)
		}
	}
	if k != nil {
		if sum.exceeds(limit) || !sum.plus(k.weight(r)).exceeds(limit) {
			return nil
		}
	} else if !sum.exceeds(limit) {
		return nil
	}
	slices.SortStableFunc(chosen, func(a, b *child) int { return b.weight(r).Compare(a.weight(r)) })
	sum = Weight{}
	if k != nil {
		sum = k.weight(r)
	}
	last := 0
	for ; !sum.exceeds(limit); last++ {
		sum = sum.plus(chosen[last].weight(r))
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

// during lists the children whose term shares an instant with t, slot by slot.
func (c *Children) during(t Term) (near []*child) {
	for i := range c.slots {
		for j := range c.slots[i] {
			if k := &c.slots[i][j]; k.term.Overlaps(t) {
				near = append(near, k)
			}
		}
	}
	return near
}

// begins lists the instants of t at which a weight may rise, ascending.
func begins(near []*child, t Term) []int64 {
	list := []int64{t.From}
	for _, k := range near {
		if t.Covers(k.term.From) {
			list = append(list, k.term.From)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// heaviest returns the child of each slot that weighs most of r at the instant,
// of equals the one with the smallest id.
func heaviest(near []*child, r Resource, at int64) (heavy [Slots]*child) {
	for _, k := range near {
		if k.term.Covers(at) && (heavy[k.slot] == nil || k.weight(r).exceeds(heavy[k.slot].weight(r))) {
			heavy[k.slot] = k
		}
	}
	return heavy
}

// bound is what k and the others can weigh at most, without regard to instants.
func (c *Children) bound(near []*child, k *child, r Resource) Weight {
	var most [Slots]Weight
	for _, o := range near {
		most[o.slot] = most[o.slot].max(o.weight(r))
	}
	most[k.slot] = most[k.slot].max(k.weight(r))
	var sum Weight
	for _, w := range most {
		sum = sum.plus(w)
	}
	return sum
}

// Weight returns the most that the children weigh together at any instant of
// the term, rounded up to whole units; against the rset times the degree of the
// parent it says what is left of the budget.
func (c *Children) Weight(t Term) (peak RSet) {
	near := c.during(t)
	for _, at := range begins(near, t) {
		for r := range Resource(NumResources) {
			var sum Weight
			for _, k := range heaviest(near, r, at) {
				if k != nil {
					sum = sum.plus(k.weight(r))
				}
			}
			peak[r] = max(peak[r], sum.whole())
		}
	}
	return peak
}
