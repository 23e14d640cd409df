// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"slices"
)

// This file is the one verifier. It is pure and works offline: signed bytes and
// the node's public key go in, and nothing else is asked. The rules are numbered
// as in docs/protocol/claims.md. Everything that costs no signature check is
// judged first, so that a chain that is not for us is cheap to refuse.

// A Chain is a path of claims from a node's capacity down to a ticket or a
// redeem, every rule of which holds. Only [VerifyChain] and [Chain.Extend] make
// one that is not empty.
//
// A chain says nothing about the present: terms nest, so it is good for as long
// as the term of its leaf, which the caller compares with a clock it trusts; and
// whether its slots were sold twice is for the ledger to find out.
type Chain struct{ links []Opened }

// Len returns the number of statements, the root and the leaf included.
func (c Chain) Len() int { return len(c.links) }

// Link returns the statement at position i, the capacity being 0.
func (c Chain) Link(i int) Opened { return c.links[i] }

// Root returns the node's capacity, on which all else stands.
func (c Chain) Root() *Capacity { return c.links[0].Statement.(*Capacity) }

// Leaf returns the last statement.
func (c Chain) Leaf() Opened { return c.links[len(c.links)-1] }

// Redeem returns the leaf if it is a redeem, and the ticket that it draws on.
func (c Chain) Redeem() (wish *Redeem, on *Ticket, ok bool) {
	if wish, ok = c.Leaf().Statement.(*Redeem); ok {
		on = c.links[len(c.links)-2].Statement.(*Ticket)
	}
	return wish, on, ok
}

// Bytes returns the statements in the form that travels, root first.
func (c Chain) Bytes() [][]byte {
	out := make([][]byte, len(c.links))
	for i, l := range c.links {
		out[i] = l.Signed.Bytes()
	}
	return out
}

// A ChainError says at which statement of a chain a rule is broken. It wraps
// one of the errors of this package.
type ChainError struct {
	Position int  // 0 is the capacity
	Kind     Kind // 0 when the statement could not be read
	Err      error
}

func (e *ChainError) Error() string {
	if e.Kind == 0 {
		return fmt.Sprintf("statement %d of the chain: %v", e.Position, e.Err)
	}
	return fmt.Sprintf("statement %d of the chain (%s): %v", e.Position, e.Kind, e.Err)
}

func (e *ChainError) Unwrap() error { return e.Err }

// VerifyChain reads and verifies a chain that must belong to node: capacity,
// tickets, and a redeem at the end if there is one. Its cost is one signature
// check a statement. Errors are of type [*ChainError], but for a chain that is
// empty, too long or too large.
func VerifyChain(chain [][]byte, node Principal) (Chain, error) {
	if len(chain) == 0 {
		return Chain{}, fmt.Errorf("empty: %w", ErrChain) // C1
	}
	return Chain{}.extend(chain, node)
}

// Extend verifies more statements below a chain that holds already, at the cost
// of one signature check for each of them. The receiver stays as it is.
func (c Chain) Extend(below ...[]byte) (Chain, error) {
	if c.Len() == 0 {
		return Chain{}, fmt.Errorf("nothing to extend: %w", ErrChain)
	}
	return c.extend(below, c.Root().Node)
}

func (c Chain) extend(below [][]byte, node Principal) (Chain, error) {
	whole, err := c.join(below, node, read)
	if err == nil {
		err = whole.verify(c.Len(), nil)
	}
	if err != nil {
		return Chain{}, err
	}
	return whole, nil
}

// join holds every rule but the signatures.
func (c Chain) join(below [][]byte, node Principal, read func([]byte) (Opened, error)) (Chain, error) {
	if n := c.Len() + len(below); n > MaxDepth+1 { // C1; C2 counts the claims
		return Chain{}, fmt.Errorf("%d statements, limit %d: %w", n, MaxDepth+1, ErrDepth)
	}
	links := slices.Clone(c.links)
	for _, b := range below {
		o, err := read(b)
		if err == nil {
			err = follows(links, o, node)
		}
		if err != nil {
			return Chain{}, broken(len(links), o, err)
		}
		links = append(links, o)
	}
	return Chain{links}, nil
}

// verify checks the signatures from a position on, but for those that are known.
func (c Chain) verify(from int, known []bool) error {
	for i := from; i < len(c.links); i++ {
		if i < len(known) && known[i] {
			continue
		}
		if err := c.links[i].verify(); err != nil {
			return broken(i, c.links[i], err)
		}
	}
	return nil
}

func broken(at int, o Opened, err error) error {
	e := &ChainError{Position: at, Err: err}
	if o.Statement != nil {
		e.Kind = o.Kind()
	}
	return e
}

// follows judges o as the next statement under above.
func follows(above []Opened, o Opened, node Principal) error {
	if len(above) == 0 {
		root, ok := o.Statement.(*Capacity)
		if !ok {
			return fmt.Errorf("a chain begins with a capacity: %w", ErrChain) // C2
		}
		return unless(root.Node == node, ErrWrongNode, "capacity of %s, want %s", root.Node.Short(), node.Short()) // C4
	}
	up := above[len(above)-1]
	parent, ok := claimOf(up.Statement)
	if !ok {
		return fmt.Errorf("nothing stands under a %s: %w", up.Kind(), ErrChain) // C2
	}
	switch st := o.Statement.(type) {
	case *Ticket:
		return first(
			unless(len(above) < MaxDepth, ErrDepth, "%d claims, limit %d", len(above)+1, MaxDepth), // C1
			parent.admits(up.ID, node, st.Parent, st.Issuer, st.Node, st.RSet, st.Term()),
			parent.spreads(st.FanOut),
			unless(st.Degree <= parent.degree, ErrExceeds, "degree %d of %d", st.Degree, parent.degree)) // C8
	case *Redeem:
		if len(above) == 1 {
			return fmt.Errorf("a redeem draws on a ticket, not on a %s: %w", up.Kind(), ErrChain) // C2
		}
		return first(
			parent.admits(up.ID, node, st.Parent, st.Issuer, st.Node, st.RSet, st.Term()),
			parent.spreads(st.FanOut))
	}
	return fmt.Errorf("a %s is no part of a chain: %w", o.Kind(), ErrChain) // C2
}

// claim is what a child must fit into.
type claim struct {
	holder Principal
	rset   RSet
	term   Term
	degree uint16
	fanOut uint16 // 0: none is stated
}

func claimOf(st Statement) (claim, bool) {
	switch st := st.(type) {
	case *Capacity:
		return claim{st.Node, st.RSet, st.Term(), st.Degree, st.FanOut}, true
	case *Ticket:
		return claim{st.Holder, st.RSet, st.Term(), st.Degree, st.FanOut}, true
	}
	return claim{}, false
}

// spreads holds rule C10. What does not add is no matter of sums: each child may
// have all of it, and none may say nothing where the parent says something.
func (p claim) spreads(child uint16) error {
	return unless(p.fanOut == 0 || child != 0 && child <= p.fanOut, ErrExceeds, "fan-out %d of %d", child, p.fanOut)
}

// admits holds rules C3 to C7 for one child of the claim p, whose id is id.
func (p claim) admits(id ID, node Principal, parent ID, issuer, at Principal, s RSet, t Term) error {
	over, exceeds := s.Exceeds(p.rset)
	switch {
	case parent != id:
		return fmt.Errorf("names parent %s where %s stands: %w", parent.Short(), id.Short(), ErrChain) // C3
	case at != node:
		return fmt.Errorf("node %s, want %s: %w", at.Short(), node.Short(), ErrWrongNode) // C4
	case issuer != p.holder:
		return fmt.Errorf("issued by %s, held by %s: %w", issuer.Short(), p.holder.Short(), ErrNotHolder) // C5
	case exceeds:
		return fmt.Errorf("%s=%s of %s: %w", over, over.Format(s[over]), over.Format(p.rset[over]), ErrExceeds) // C6
	case !t.Within(p.term):
		return fmt.Errorf("term %s of %s: %w", t, p.term, ErrExceeds) // C7
	}
	return nil
}
