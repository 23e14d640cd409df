// SPDX-License-Identifier: Apache-2.0

// Package oracle says what binds a node by nothing but the bytes that it signed
// and kept, and holds a ledger against that. It is for tests and simulations.
//
//	a hold binds until its fuse or its lease, a lease until its end
//
// It adds up instant by instant, without calendars, and knows nothing of the
// ledger's insides: after every step it is told the facts that are durable, and
// then asked whether what was promised can be kept.
//
//	o := oracle.New(oracle.Config{Lead: 300})
//	o.Step()
//	for _, f := range facts { o.Follow(f) }
//	if err := o.Check(ledger); err != nil { … }
//
// An error says which promise is broken ([ErrBroken]) and stays. Use an Oracle by
// one goroutine at a time.
package oracle

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"croft/lease"
)

// ErrBroken is matched by all that an Oracle finds.
var ErrBroken = errors.New("a promise is broken")

// Config is what an oracle cannot know of itself.
type Config struct {
	// Open reads what the node kept. The oracle asks for the same bytes again, so
	// remember them.
	Open func([]byte) (lease.Opened, error)
	// Claim is the capacity or ticket of that id, for redeems; nil: there are none.
	Claim func(lease.ID) lease.Statement

	Lead  int64            // seconds by which a lease may start late
	Lent  []lease.Resource // of which a pool that borrows may give more than it has
	Epoch int64            // Unix seconds; instants are printed from here
	Until int64            // Unix seconds; 0: only instants are looked at when something begins or ends
	Sight func(string)     // is told what came about; may be nil
}

// Oracle knows one node.
type Oracle struct {
	cfg      Config
	bindings []*binding            // what the journal says that the node granted, in order
	bound    map[lease.ID]*binding // by hold and by lease
	kept     map[lease.Digest]bool // what the node signed, or was given, and kept
	checked  [2]int64              // facts and time when it last looked
	facts    int64
	floors   []floor
	steps    int
	err      error
}

// New returns the oracle of a node without a past.
func New(cfg Config) *Oracle {
	if cfg.Sight == nil {
		cfg.Sight = func(string) {}
	}
	if cfg.Claim == nil {
		cfg.Claim = func(lease.ID) lease.Statement { return nil }
	}
	return &Oracle{cfg: cfg, bound: map[lease.ID]*binding{}, kept: map[lease.Digest]bool{}}
}

// Step says that the node takes its next input: what is announced from now on
// belongs together.
func (o *Oracle) Step() { o.steps++ }

// Restarted has the next Check look even if nothing was decided.
func (o *Oracle) Restarted() { o.checked = [2]int64{} }

// Kept reports whether signed bytes were in a fact: only such may leave the node.
func (o *Oracle) Kept(signed []byte) bool { return o.kept[sha256.Sum256(signed)] }

func (o *Oracle) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf("%w: "+format, append([]any{ErrBroken}, args...)...)
	}
}

// see reads kept bytes; what does not open is a zero value and a broken promise.
func (o *Oracle) see(b []byte) lease.Opened {
	opened, err := o.cfg.Open(b)
	if err != nil {
		o.fail("kept what does not open: %v", err)
	}
	return opened
}
