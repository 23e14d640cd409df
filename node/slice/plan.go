// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"

	"croft/lease"
	"croft/lease/purse"
)

// Plan is what to bring about. All of it is fixed before the first message.
type Plan struct {
	Label      string          // of the slice
	Owner      lease.Principal // of the slice; zero: the key's principal
	Want       int             // nodes
	Partial    bool            // fewer are better than none
	Candidates []Candidate
	Wish       Wish
	Program    []byte // what slivers run, for Activate; opaque here
	Reserve    bool   // lease now, and run nothing yet: see NewLaunch

	Known int    // how many nodes were looked at, for the first stage
	Found string // why the others do not match, for a person
}

// Candidate is a node that matches. Better ones come first.
type Candidate struct {
	Node  lease.Principal
	Name  string   // for people, such as uni-a/n1
	Addrs []string // ways of reaching it
	// Ticket is a ticket in the purse to redeem there. Zero: the node is asked
	// for a share of Wish.Pool.
	Ticket lease.ID
}

// Wish is what each node is asked for.
type Wish struct {
	Pool  lease.Pool
	RSet  lease.RSet
	Term  lease.Term
	Ports []lease.Port

	Class  lease.Class
	Weight uint16 // of an evictable one
	Alone  bool   // nobody else is to be in the pool
	FanOut uint16 // 0: the node's default, or the ticket's
	Bid    string // for who allots the pool
}

func (p Plan) check(key lease.Signer) error {
	if p.Want < 1 || p.Want > MaxNodes {
		return fmt.Errorf("%d nodes wanted, want 1 to %d: %w", p.Want, MaxNodes, ErrPlan)
	}
	if len(p.Program) == 0 && !p.Reserve {
		return fmt.Errorf("nothing to run: %w", ErrPlan)
	}
	seen := map[lease.Principal]bool{}
	for _, c := range p.Candidates {
		if c.Node.IsZero() || seen[c.Node] {
			return fmt.Errorf("node %s twice, or no node: %w", c.Name, ErrPlan)
		}
		if c.Ticket.IsZero() == (p.Wish.Pool == lease.PoolSharp) {
			return fmt.Errorf("node %s: pool %s and a ticket go together: %w", c.Name, lease.PoolSharp, ErrPlan)
		}
		seen[c.Node] = true
	}
	// The rules of an ask are the lease package's: have it judge one.
	var probe lease.Statement = p.ask(key.Principal(), key.Principal(), lease.Request{})
	if p.Wish.Pool == lease.PoolSharp {
		probe = &lease.Redeem{K: lease.KindRedeem, Issuer: key.Principal(), Node: key.Principal(), RSet: p.Wish.RSet,
			From: p.Wish.Term.From, Until: p.Wish.Term.Until, Parent: lease.ID{1}, Slice: p.Label, Ports: p.Wish.Ports, // any parent
			Owner: named(p.Owner, key.Principal()), FanOut: p.Wish.FanOut}
	}
	if _, err := lease.Seal(probe, key); err != nil {
		return fmt.Errorf("%w: %w", ErrPlan, err)
	}
	return nil
}

// draw is the wish that the purse is to sign for a candidate with a ticket.
func (p Plan) draw(by lease.Principal, c Candidate, id lease.Request) DrawTicket {
	return DrawTicket{Node: c.Node, Wish: purse.Redeem{Ticket: c.Ticket, Slot: purse.AnySlot, RSet: p.Wish.RSet,
		Term: p.Wish.Term, Slice: p.Label, Owner: named(p.Owner, by), Request: id, Ports: p.Wish.Ports, FanOut: p.Wish.FanOut}}
}

func (p Plan) ask(by, node lease.Principal, id lease.Request) *lease.Ask {
	ask := &lease.Ask{K: lease.KindAsk, Issuer: by, Owner: named(p.Owner, by), Node: node, RSet: p.Wish.RSet,
		From: p.Wish.Term.From, Until: p.Wish.Term.Until, Slice: p.Label, Request: id,
		Ports: p.Wish.Ports, Pool: p.Wish.Pool, Class: p.Wish.Class, Weight: p.Wish.Weight, FanOut: p.Wish.FanOut, Bid: p.Wish.Bid}
	if p.Wish.Alone {
		ask.Alone = 1
	}
	return ask
}
