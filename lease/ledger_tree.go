// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// The claim tree is what the ledger knows of the node's capacities: the tickets
// out of them, those that were passed on and came to light with a redeem, and the
// redeems. Two books are kept of every claim. Draws are what holds and leases take
// through it now: no claim is drawn beyond its rset, and that is all that decides
// whether a redeem fits. Weights are what was ever signed under it, to the ends of
// the signed terms: nothing returns there, and what weighs too much is a conflict,
// for which its issuer answers and nobody else.

// claimBook is one claim of the tree: a capacity or a ticket.
type claimBook struct {
	timer
	claim
	Opened
	bytes []byte     // exactly as it came
	up    *claimBook // nil for a capacity
	below []*claimBook
	yard  *subtree // nil for a capacity

	weights *Children
	draws   calendar
	live    map[uint8][]*booking // holds and leases by the slot of their redeem
	redeems int                  // kept bookings

	witnessed int // kept redeems that were not granted
	refused   int // kept refusals

	asked   Digest // of a ticket that the node gave: the wish for it
	request Request
	fact    keptFact
}

// subtree counts what is kept under one ticket that the node gave, whoever made
// it: who splits a ticket a thousand times fills nobody else's room.
type subtree struct {
	tickets   int // passed on
	witnessed int
	refused   int
	attached  int // bytes that kept refusals attach
}

// newClaim makes the book of a capacity (up is nil) or ticket.
func newClaim(o Opened, b []byte, up *claimBook) (*claimBook, error) {
	c, ok := claimOf(o.Statement)
	if !ok {
		return nil, fmt.Errorf("%s is no claim: %w", o.Kind(), ErrFact)
	}
	k := &claimBook{claim: c, Opened: o, bytes: b, up: up, weights: NewChildren(o)}
	switch {
	case up == nil:
	case up.yard == nil: // given by the node
		k.yard = new(subtree)
	default:
		k.yard = up.yard
	}
	return k, nil
}

// chain returns the verified path from the capacity to k.
func (k *claimBook) chain() Chain {
	var links []Opened
	for ; k != nil; k = k.up {
		links = append(links, k.Opened)
	}
	slices.Reverse(links)
	return Chain{links}
}

// on reports whether k lies on the path from the claim of a redeem to the root.
func (k *claimBook) on(leaf *claimBook) bool {
	for ; leaf != nil; leaf = leaf.up {
		if leaf == k {
			return true
		}
	}
	return false
}

// capacity returns the root above k.
func (k *claimBook) capacity() *claimBook {
	for k.up != nil {
		k = k.up
	}
	return k
}

// verifyChain is [VerifyChain] at the cost of one signature check for each
// statement below the claims that are kept, which are known by their exact bytes.
func (l *Ledger) verifyChain(chain [][]byte) (Chain, error) {
	var known *claimBook
	for i, b := range chain {
		s, err := ParseSigned(b, MaxStatement)
		if err != nil || i > MaxDepth {
			break
		}
		k := l.claims[s.ID()]
		if k == nil || k.up != known || !bytes.Equal(k.bytes, b) {
			break
		}
		known = k
	}
	if known == nil {
		return VerifyChain(chain, l.node)
	}
	above := known.chain()
	return above.Extend(chain[above.Len():]...)
}

// walk finds the claims on the path of a redeem and keeps those that are new
// here, with the proofs that they complete.
func (l *Ledger) walk(w *want, path Chain) *Refusal {
	if w.op != KindRedeem {
		return nil
	}
	given := l.claims[path.Link(1).ID]
	if given == nil || given.up.up != nil {
		return refuse(Local, ReasonUnknown, "ticket %s is not one that this node gave", path.Link(1).ID.Short())
	}
	k := given
	for i := 2; i < path.Len()-1; i++ {
		o := path.Link(i)
		if next := l.claims[o.ID]; next != nil {
			k = next
			continue
		}
		switch {
		case len(k.below) >= MaxTicketsOfClaim:
			return refuse(Local, ReasonBound, "%d tickets under %s are kept, limit %d", len(k.below), k.ID.Short(), MaxTicketsOfClaim)
		case k.yard.tickets >= MaxPassedOn:
			return refuse(Local, ReasonBound, "%d tickets are kept that came of %s, limit %d", k.yard.tickets, given.ID.Short(), MaxPassedOn)
		case l.passedOn >= MaxPassedOnInAll:
			return refuse(Local, ReasonBound, "%d tickets are kept that were passed on, limit %d", l.passedOn, MaxPassedOnInAll)
		}
		l.convict(k, k.weights.Add(o))
		l.decide(Fact{K: FactSeen, Signed: o.Signed.Bytes()})
		k = l.claims[o.ID]
	}
	w.leaf = k
	return nil
}

// witness is a kept redeem that was not granted. It was signed, so it weighs.
type witness struct {
	timer
	id   ID
	leaf *claimBook
	fact keptFact
}

// testify keeps the redeem of a wish that is not granted, unless what is known
// already outweighs it.
func (l *Ledger) testify(w *want) {
	k := w.leaf
	if k == nil || l.witnesses[w.id] != nil || k.witnessed >= MaxRefusalsOfTicket || k.yard.witnessed >= MaxRefusalsOfSubtree {
		return
	}
	o, err := read(w.bytes)
	if err != nil || k.weights.Outweighed(o) {
		return
	}
	l.convict(k, k.weights.Add(o))
	l.decide(Fact{K: FactSeen, Signed: w.bytes})
}

func (l *Ledger) applySeen(f Fact) error {
	o, err := read(f.Signed)
	if err != nil {
		return err
	}
	var k *claimBook
	if c, ok := childOf(o); ok {
		k = l.claims[c.parent]
	}
	if k == nil || k.up == nil || l.claims[o.ID] != nil || l.witnesses[o.ID] != nil {
		return fmt.Errorf("%s %s was seen, or its parent was not: %w", o.Kind(), o.ID.Short(), ErrFact)
	}
	k.weights.Add(o)
	if st, ok := o.Statement.(*Redeem); ok {
		x := &witness{id: o.ID, leaf: k, fact: l.number(f)}
		l.witnesses[o.ID] = x
		k.witnessed++
		k.yard.witnessed++
		l.keep(x, st.Until+RequestKept)
		return nil
	}
	x, err := newClaim(o, f.Signed, k)
	if err != nil {
		return err
	}
	x.fact = l.number(f)
	l.plant(x)
	k.yard.tickets++
	l.passedOn++
	return nil
}

// plant puts a claim into the tree.
func (l *Ledger) plant(k *claimBook) {
	l.claims[k.ID] = k
	l.bear(k, +1)
	if k.up != nil {
		k.up.below = append(k.up.below, k)
	}
	l.keep(k, k.term.Until+RequestKept)
}

func (l *Ledger) forgetWitness(x *witness) {
	delete(l.witnesses, x.id)
	l.drop(x)
	x.leaf.witnessed--
	x.leaf.yard.witnessed--
	x.leaf.weights.Forget(l.now - RequestKept)
}

// forgetClaim drops a claim an hour after its term. All that stands under it has
// gone before, or goes now.
func (l *Ledger) forgetClaim(k *claimBook) {
	delete(l.claims, k.ID)
	l.bear(k, -1)
	l.drop(k)
	switch {
	case k.up == nil:
		l.pool(PoolSharp).aside.remove(span{k.term, k.rset})
		return
	case k.up.up == nil:
		delete(l.requests, requestKey{l.node, KindTicket, k.request})
		l.given--
	default:
		k.yard.tickets--
		l.passedOn--
	}
	k.up.below = slices.DeleteFunc(k.up.below, func(o *claimBook) bool { return o == k })
	k.up.weights.Forget(l.now - RequestKept)
}

// byKeeping returns every claim that is kept, in the order in which they came:
// parents before their children.
func (l *Ledger) byKeeping() []*claimBook {
	return slices.SortedFunc(maps.Values(l.claims), func(a, b *claimBook) int { return cmp.Compare(a.seq, b.seq) })
}
