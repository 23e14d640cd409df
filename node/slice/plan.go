// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"

	"croft/lease"
)

// Plan is what to bring about. All of it is fixed before the first message.
type Plan struct {
	Label      string // of the slice; the key's principal owns it
	Want       int    // nodes
	Partial    bool   // fewer are better than none
	Candidates []Candidate
	Wish       Wish
	Program    []byte // what slivers run, for Activate; opaque here

	Known int    // how many nodes were looked at, for the first stage
	Found string // why the others do not match, for a person
}

// Candidate is a node that matches. Better ones come first.
type Candidate struct {
	Node  lease.Principal
	Name  string   // for people, such as uni-a/n1
	Addrs []string // ways of reaching it
}

// Wish is what each node is asked for.
type Wish struct {
	Pool  lease.Pool
	RSet  lease.RSet
	Term  lease.Term
	Ports []lease.Port
}

func (p Plan) check(key lease.Signer) error {
	if p.Want < 1 || p.Want > MaxNodes {
		return fmt.Errorf("%d nodes wanted, want 1 to %d: %w", p.Want, MaxNodes, ErrPlan)
	}
	if len(p.Program) == 0 {
		return fmt.Errorf("nothing to run: %w", ErrPlan)
	}
	seen := map[lease.Principal]bool{}
	for _, c := range p.Candidates {
		if c.Node.IsZero() || seen[c.Node] {
			return fmt.Errorf("node %s twice, or no node: %w", c.Name, ErrPlan)
		}
		seen[c.Node] = true
	}
	// The rules of an ask are the lease package's: have it judge one.
	probe := p.ask(key.Principal(), key.Principal(), lease.Request{})
	if _, err := lease.Seal(probe, key); err != nil {
		return fmt.Errorf("%w: %w", ErrPlan, err)
	}
	return nil
}

func (p Plan) ask(owner, node lease.Principal, id lease.Request) *lease.Ask {
	return &lease.Ask{K: lease.KindAsk, Issuer: owner, Node: node, RSet: p.Wish.RSet,
		From: p.Wish.Term.From, Until: p.Wish.Term.Until, Slice: p.Label, Request: id,
		Ports: p.Wish.Ports, Pool: p.Wish.Pool}
}
