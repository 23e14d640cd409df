// SPDX-License-Identifier: Apache-2.0

// Package node is the heart of a Croft daemon: a switchboard between machines
// that know nothing of one another.
//
// A [Core] holds the ledger, which decides who may use this node, and the
// lifecycle, which minds the slivers that follow from it. Both are machines of
// one shape: they are given an instant and an input, and return effects. The
// switchboard has no rules of its own; one table, [route], says which effect of
// one is an input of the other:
//
//	wish commit activate end                  launched exited removed
//	          │                                        │
//	     ┌────▼─────┐  begin continue share     ┌──────▼──────┐
//	     │          │  finish                   │             │
//	     │          ├──────────────────────────▶│             │
//	     │  ledger  │          gone             │  lifecycle  │
//	     │          │◀──────────────────────────┤             │
//	     └────┬─────┘                           └──────┬──────┘
//	          │                                        │
//	 answer fact changed                launch adjust teardown fact
//
// What leaves a Step is one batch. Whoever owns the core makes the batch's facts
// durable first and performs the rest afterwards, in order; when facts cannot be
// made durable it drops the batch and builds the core anew from the journal.
// [Core.Restore] takes records back, and the input [Recover] then emits again
// whatever is not known to be done: effects are at-least-once and idempotent.
//
// A Core never looks at a clock, a disk or a network, and gives the same effects
// for the same history. It is not safe for concurrent use.
package node

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/sandbox"
)

// Core is the switchboard of one node.
type Core struct {
	ledger  *lease.Ledger
	slivers *sandbox.Lifecycle
	last    int64
}

// Config is what a core is made of.
type Config struct {
	Ledger lease.LedgerConfig
	Places int // slivers that fit on the node at once
}

// NewCore makes the core of a node without a past.
func NewCore(cfg Config) *Core {
	return &Core{ledger: lease.NewLedger(cfg.Ledger), slivers: sandbox.NewLifecycle(cfg.Places)}
}

// Input is a lease.Input, a sandbox.Input, [Recover] or [Tick].
type Input interface{ fmt.Stringer }

// Effect is a lease.Effect or a sandbox.Effect that no machine of the core
// takes: it is for the owner to perform.
type Effect interface{ fmt.Stringer }

// Recover follows the last record of the journal.
type Recover struct{}

// Tick says that time has passed.
type Tick struct{}

func (Recover) String() string { return "recover" }
func (Tick) String() string    { return "tick" }

// Step advances the core to now, applies one input and returns what its owner
// must do, as one batch: facts first.
func (c *Core) Step(now time.Time, in Input) []Effect {
	var batch []Effect
	switch in.(type) {
	case Recover: // the lifecycle ends what the ledger does not name
		batch = c.settle(now, lease.Recover{})
		batch = append(batch, c.settle(now, sandbox.Recover{})...)
	case Tick:
		batch = c.settle(now, lease.Tick{})
	default:
		batch = c.settle(now, in)
	}
	return factsFirst(batch)
}

// settle applies an input, and every input that follows from it, until nothing
// is left for a machine of the core.
func (c *Core) settle(now time.Time, in Input) []Effect {
	var batch []Effect
	for queue := []Input{in}; len(queue) > 0; queue = queue[1:] {
		for _, effect := range c.apply(now, queue[0]) {
			if next := route(effect); next != nil {
				queue = append(queue, next)
			} else {
				batch = append(batch, effect)
			}
		}
	}
	return batch
}

// apply hands an input to the machine that it is for.
func (c *Core) apply(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case lease.Input:
		return widen(c.ledger.Step(now, in))
	case sandbox.Input:
		return widen(c.slivers.Step(now, in))
	}
	panic(fmt.Sprintf("node: no machine takes %T", in))
}

// route is the table: an effect of one machine that is an input of another.
func route(effect Effect) Input {
	switch e := effect.(type) {
	case lease.Begin:
		return sandbox.Begin{Sliver: e.Sliver, Lease: e.Lease, Statement: e.Statement, Program: e.Program, Share: e.Share}
	case lease.Continue:
		return sandbox.Continue{Sliver: e.Sliver, Lease: e.Lease, Statement: e.Statement, Share: e.Share}
	case lease.Share:
		return sandbox.Share{Sliver: e.Sliver, Lease: e.Lease, RSet: e.RSet}
	case lease.Finish:
		return sandbox.Finish{Sliver: e.Sliver, Lease: e.Lease, Reason: e.Reason}
	case sandbox.Cleared:
		return lease.Gone{Lease: e.Lease}
	}
	return nil
}

// NextWake reports when Step must next be called with a [Tick].
func (c *Core) NextWake() (time.Time, bool) { return c.ledger.NextWake() }

// Ledger is for reading the books between two steps.
func (c *Core) Ledger() *lease.Ledger { return c.ledger }

func widen[E Effect](in []E) []Effect {
	out := make([]Effect, len(in))
	for i, e := range in {
		out[i] = e
	}
	return out
}

// factsFirst moves the facts to the front and keeps both orders otherwise.
func factsFirst(batch []Effect) []Effect {
	facts, rest := make([]Effect, 0, len(batch)), make([]Effect, 0, len(batch))
	for _, e := range batch {
		if _, ok := Record(e); ok {
			facts = append(facts, e)
		} else {
			rest = append(rest, e)
		}
	}
	return append(facts, rest...)
}
