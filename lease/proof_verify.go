// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
)

// A Verdict is what a proof that holds says.
type Verdict struct {
	Kind      ProofKind `json:"kind"`
	Principal Principal `json:"principal"` // accountable: who issued the children, or the node
	Node      Principal `json:"node"`
	About     ID        `json:"about"` // the parent, the redeem or the lease; none for ProofCapacity
	Term      Term      `json:"term"`  // in which the promises collide, or the promise was not kept
	Resource  Resource  `json:"resource"`
	At        int64     `json:"at"`      // of ProofOver: the instant, Unix seconds
	Weighed   Weight    `json:"weighed"` // of ProofOver: what the children weigh there
	Limit     Weight    `json:"limit"`   // of ProofOver: what the parent may carry
}

// Verify judges the proof by itself, offline. It returns what it proves, or the
// reason why it proves nothing: an error of this package. Everything that costs
// no signature check is judged first, and then each statement's signature once,
// so a conflict of m children under a chain of n costs n + m checks, of at most
// 80; a proof of ProofUnfilled costs those of the filling besides.
func (p Proof) Verify() (v Verdict, err error) {
	if err = p.shape(); err == nil {
		switch p.K {
		case ProofTwice, ProofOver:
			v, err = p.children()
		case ProofCapacity:
			v, err = p.capacities()
		case ProofRefused:
			v, err = p.refused()
		case ProofUnfilled:
			v, err = p.unfilled()
		case ProofGrace:
			v, err = p.grace()
		}
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("proof (%s): %w", p.K, err)
	}
	v.Kind = p.K
	return v, nil
}

// VerifyProof reads a proof as it travels and verifies it.
func VerifyProof(b []byte) (Proof, Verdict, error) {
	p, err := ParseProof(b)
	if err != nil {
		return Proof{}, Verdict{}, err
	}
	v, err := p.Verify()
	return p, v, err
}

// join reads the proof's chain at the node that its capacity names, all but the
// signatures: P3.
func (p Proof) join() (Chain, error) {
	root, err := read(p.Chain[0])
	if err != nil {
		return Chain{}, broken(0, root, err)
	}
	node := root.By()
	return Chain{}.join(p.Chain, node, read)
}

// read reads the evidence, all but the signatures: P4.
func (p Proof) read() ([]Opened, error) {
	list := make([]Opened, len(p.Evidence))
	for i, b := range p.Evidence {
		o, err := read(b)
		if err != nil {
			return nil, fmt.Errorf("statement %d of the evidence: %w", i, err)
		}
		list[i] = o
	}
	return list, nil
}

// signed checks the signatures of the evidence.
func signed(evidence []Opened) error {
	for i, o := range evidence {
		if err := o.verify(); err != nil {
			return fmt.Errorf("statement %d of the evidence (%s): %w", i, o.Kind(), err)
		}
	}
	return nil
}

// A child is what a ticket and a redeem have in common under their parent.
type child struct {
	Opened
	parent ID
	slot   uint8
	rset   RSet
	degree uint16 // of a redeem: 100
	term   Term
	ticket bool
}

func childOf(o Opened) (child, bool) {
	switch st := o.Statement.(type) {
	case *Ticket:
		return child{o, st.Parent, st.Slot, st.RSet, st.Degree, st.Term(), true}, true
	case *Redeem:
		return child{o, st.Parent, st.Slot, st.RSet, MinDegree, st.Term(), false}, true
	}
	return child{}, false
}

// weight is what the child weighs of r while its term runs.
func (c *child) weight(r Resource) Weight { return weigh(c.rset[r], c.degree) }

// children judges a slot that was sold twice, and slots that weigh too much.
func (p Proof) children() (Verdict, error) {
	chain, err := p.join()
	if err != nil {
		return Verdict{}, err
	}
	parent, ok := claimOf(chain.Leaf().Statement)
	if !ok {
		return Verdict{}, fmt.Errorf("nothing stands under a %s: %w", chain.Leaf().Kind(), ErrChain) // P3
	}
	evidence, err := p.read()
	if err != nil {
		return Verdict{}, err
	}
	children := make([]child, len(evidence))
	common := parent.term
	for i, o := range evidence {
		c, ok := childOf(o)
		switch {
		case !ok:
			return Verdict{}, fmt.Errorf("a %s has no slot: %w", o.Kind(), ErrKind) // P5
		case c.parent != chain.Leaf().ID:
			return Verdict{}, fmt.Errorf("%s %s stands under %s: %w", c.Kind(), c.ID.Short(), c.parent.Short(), ErrProofParent) // P5
		}
		if err := follows(chain.links, o, chain.Root().Node); err != nil {
			return Verdict{}, fmt.Errorf("%s %s: %w", o.Kind(), o.ID.Short(), err) // P5
		}
		children[i] = c
		common = common.meet(c.term)
	}
	v := Verdict{Principal: parent.holder, Node: chain.Root().Node, About: chain.Leaf().ID, Term: common}
	if p.K == ProofTwice {
		err = twice(children, common)
	} else {
		v.Resource, v.At = p.Resource, p.At
		v.Limit = weigh(parent.rset[p.Resource], parent.degree)
		v.Weighed, err = over(children, common, p.Resource, p.At, v.Limit)
	}
	if err == nil {
		err = chain.verify(0, nil)
	}
	if err == nil {
		err = signed(evidence)
	}
	return v, err
}

// twice holds P6 to P8 and P10 for two children.
func twice(c []child, common Term) error {
	return first(
		ordered(c[0].ID, c[1].ID),
		unless(c[0].slot == c[1].slot, ErrProofSlot, "slots %d and %d", c[0].slot, c[1].slot),
		unless(c[0].ticket || c[1].ticket, ErrProofSlot, "two redeems in slot %d", c[0].slot),
		unless(common.Seconds() > 0, ErrProofDisjoint, "%s and %s", c[0].term, c[1].term))
}

// ordered holds P6 and P7 for two statements.
func ordered(a, b ID) error {
	switch bytes.Compare(a[:], b[:]) {
	case 0:
		return fmt.Errorf("%s: %w", a.Short(), ErrProofDuplicate)
	case 1:
		return fmt.Errorf("%s before %s: %w", a.Short(), b.Short(), ErrProofOrder)
	}
	return nil
}

// over holds P6 to P9 and P11 to P13, and returns what the children weigh.
func over(children []child, common Term, r Resource, at int64, limit Weight) (sum Weight, err error) {
	least := children[0].weight(r)
	for i := range children {
		c := &children[i]
		if i > 0 {
			switch up := &children[i-1]; {
			case c.ID == up.ID:
				return sum, fmt.Errorf("%s: %w", c.ID.Short(), ErrProofDuplicate)
			case c.slot == up.slot:
				return sum, fmt.Errorf("two children in slot %d: %w", c.slot, ErrProofSlot)
			case c.slot < up.slot:
				return sum, fmt.Errorf("slot %d after slot %d: %w", c.slot, up.slot, ErrProofOrder)
			}
		}
		w := c.weight(r)
		if sum = sum.plus(w); least.exceeds(w) {
			least = w
		}
	}
	return sum, first(
		unless(common.Seconds() > 0, ErrProofDisjoint, "%d children", len(children)),
		unless(common.From == at, ErrProofInstant, "%s, want %s", unix(at), unix(common.From)),
		unless(sum.exceeds(limit), ErrProofBelow, "%s: %s of %s", r, sum.Format(r), limit.Format(r)),
		unless(!sum.minus(least).exceeds(limit), ErrProofRedundant, "%s: %s of %s", r, sum.Format(r), limit.Format(r)))
}

// capacities holds P6 to P8 and P14.
func (p Proof) capacities() (Verdict, error) {
	evidence, err := p.read()
	if err != nil {
		return Verdict{}, err
	}
	a, oka := evidence[0].Statement.(*Capacity)
	b, okb := evidence[1].Statement.(*Capacity)
	if !oka || !okb {
		return Verdict{}, fmt.Errorf("%s and %s: %w", evidence[0].Kind(), evidence[1].Kind(), ErrKind)
	}
	common := a.Term().meet(b.Term())
	err = first(
		ordered(evidence[0].ID, evidence[1].ID),
		unless(a.Node == b.Node && a.Tranche == b.Tranche, ErrProofTranche, "tranche %d of %s, tranche %d of %s",
			a.Tranche, a.Node.Short(), b.Tranche, b.Node.Short()),
		unless(common.Seconds() > 0, ErrProofDisjoint, "%s and %s", a.Term(), b.Term()))
	if err == nil {
		err = signed(evidence)
	}
	return Verdict{Principal: a.Node, Node: a.Node, Term: common}, err
}
