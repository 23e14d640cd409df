// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	"croft/gossip"
	"croft/lease"
	"croft/node/api"
)

// Rumours is what the network says of broken promises, or of forked logs, and where
// this node says what it found.
type Rumours interface {
	// Accuse keeps a proof and tells everybody.
	Accuse(ctx context.Context, proof []byte) error
	// Keep keeps a proof for those who ask, and tells nobody; told says that others
	// had told of it before.
	Keep(proof []byte, told bool) error
	// Kept returns what is kept, by id.
	Kept() []gossip.Proven
	// Heard has a value when there may be a proof that was not there before.
	Heard() <-chan struct{}
}

// conflicts brings what the ledger proved to the network, and what the network
// proved to the ledger. Both keep what they know, so that there is no queue to
// overflow: whenever there may be news the two are compared.
type conflicts struct {
	d     *Daemon
	news  chan struct{}              // capacity of one: the ledger proved something
	told  map[lease.ID]bool          // of the ledger's, those that the network has; owned by run
	given map[lease.ID]lease.Concern // of the network's, those that the ledger has seen, and what they were to it
}

func newConflicts(d *Daemon) *conflicts {
	return &conflicts{d: d, news: make(chan struct{}, 1), told: map[lease.ID]bool{}, given: map[lease.ID]lease.Concern{}}
}

// poke says that the ledger has proved something. It does not wait.
func (c *conflicts) poke() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// compareEvery is when what could not be told is tried again.
const compareEvery = 30 * time.Second

// run compares the two until ctx ends. What the ledger kept from before is there
// for those who pull, also if the daemon died before it had told it; what the
// ledger proves from now on is told to everybody.
func (c *conflicts) run(ctx context.Context) {
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for tell := false; ; tell = true {
		if err := c.compare(ctx, tell); err != nil && ctx.Err() == nil {
			c.d.deps.Log.Warn("a proof was not passed on; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.news:
		case <-c.d.deps.Rumours.Heard():
		case <-tick.C:
		}
	}
}

// compare gives each side what it lacks.
func (c *conflicts) compare(ctx context.Context, tell bool) error {
	heard := c.d.deps.Rumours.Kept()
	concerns := make([]lease.Concern, len(heard))
	own, err := look(ctx, c.d, func(l *lease.Ledger) []lease.ProofEntry {
		for i, p := range heard {
			concerns[i] = l.Concern(p.Verdict)
		}
		return l.Proofs()
	})
	if err != nil {
		return err
	}
	has := make(map[lease.ID]bool, len(own))
	for _, e := range own {
		has[e.ID] = true
	}
	kept := make(map[lease.ID]bool, len(heard))
	for _, p := range heard {
		kept[p.ID] = true
	}
	for i, p := range heard {
		// One that the ledger did not keep is shown to it again when the accused has
		// come to have more here.
		if before, seen := c.given[p.ID]; has[p.ID] || seen && concerns[i] <= before {
			continue
		}
		c.d.deps.Log.Info("a principal is proved to have broken a promise", "kind", p.Kind, "principal", p.Verdict.Principal, "proof", p.ID)
		if err := c.give(ctx, p.Bytes); err != nil {
			return err
		}
		c.given[p.ID] = concerns[i] // it may not keep it; that is for it to decide
	}
	for _, e := range own {
		if kept[e.ID] || c.told[e.ID] {
			continue
		}
		if err := c.tell(ctx, e.Proof, tell); err != nil {
			return err
		}
		c.told[e.ID] = true
	}
	prune(c.given, kept)
	prune(c.told, has)
	return nil
}

// give has the ledger judge a proof.
func (c *conflicts) give(ctx context.Context, proof []byte) error {
	answer, err := c.d.ask(ctx, func(ref uint64) lease.Input { return lease.Accuse{Ref: ref, Proof: proof} })
	if err == nil && answer.Refusal != nil {
		c.d.deps.Log.Debug("the ledger does not keep a proof", "why", answer.Refusal)
	}
	return err
}

func (c *conflicts) tell(ctx context.Context, proof []byte, everybody bool) error {
	if !everybody {
		return c.d.deps.Rumours.Keep(proof, false)
	}
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	return c.d.deps.Rumours.Accuse(ctx, proof)
}

// prune forgets what is no longer there to be compared.
func prune[V any](seen map[lease.ID]V, there map[lease.ID]bool) {
	for id := range seen {
		if !there[id] {
			delete(seen, id)
		}
	}
}

// Conflicts returns what is kept, by id.
func (c *conflicts) Conflicts(ctx context.Context) ([]api.Conflict, error) {
	list := []api.Conflict{}
	if c.d.deps.Rumours == nil {
		return list, nil
	}
	heard := c.d.deps.Rumours.Kept()
	return look(ctx, c.d, func(l *lease.Ledger) []api.Conflict {
		shunned := quarantines(l)
		for _, p := range heard {
			list = append(list, conflictOf(p, shunned))
		}
		return list
	})
}

// Proof returns one of them with its bytes.
func (c *conflicts) Proof(ctx context.Context, id lease.ID) (api.Conflict, error) {
	if c.d.deps.Rumours != nil {
		for _, p := range c.d.deps.Rumours.Kept() {
			if p.ID != id {
				continue
			}
			return look(ctx, c.d, func(l *lease.Ledger) api.Conflict {
				found := conflictOf(p, quarantines(l))
				found.Proof = p.Bytes
				return found
			})
		}
	}
	return api.Conflict{}, fmt.Errorf("proof %s: %w", id.Short(), api.ErrNoProof)
}

// Accuse takes a proof from the node's owner: it is the ledger's before it is
// everybody's.
func (c *conflicts) Accuse(ctx context.Context, proof []byte) (api.Conflict, error) {
	if c.d.deps.Rumours == nil {
		return api.Conflict{}, api.ErrVisitor
	}
	p, shown, err := lease.VerifyProof(proof)
	if err != nil {
		return api.Conflict{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	if err := c.give(ctx, proof); err != nil {
		return api.Conflict{}, err
	}
	if err := c.d.deps.Rumours.Accuse(ctx, proof); err != nil {
		return api.Conflict{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err) // too old, or too early
	}
	return look(ctx, c.d, func(l *lease.Ledger) api.Conflict {
		found := conflictOf(gossip.Proven{ID: p.ID(), Bytes: proof, Shown: gossip.Broken(shown)}, quarantines(l))
		found.Proof = proof
		return found
	})
}

// quarantines is until when the ledger gives nothing to whom, in Unix seconds.
func quarantines(l *lease.Ledger) map[lease.Principal]int64 {
	until := map[lease.Principal]int64{}
	for _, e := range l.Proofs() {
		until[e.Principal] = max(until[e.Principal], e.Until)
	}
	return until
}

func conflictOf(p gossip.Proven, shunned map[lease.Principal]int64) api.Conflict {
	v := p.Verdict
	return api.Conflict{ID: p.ID, Kind: v.Kind.String(), Principal: v.Principal, Node: v.Node, About: v.About,
		From: v.Term.From, Until: v.Term.Until, Ends: p.Ends, By: p.From, Quarantine: shunned[v.Principal]}
}
