// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	"croft/ebpf/audit"
	"croft/gossip"
	"croft/lease"
	"croft/node/api"
)

// forks brings what this node as a witness proved to the network, and what the
// network proved to the witness, as conflicts does between ledger and network.
// What the witness knows from others alone it keeps as long as the network's store
// does: who has room there when made-up nodes fill it is decided in one place.
type forks struct {
	w       *witness
	rumours Rumours
	news    chan struct{}            // capacity of one: the witness knows of more or of less
	told    map[lease.Principal]bool // of its own, those that the network has; owned by run
}

func newForks(w *witness, r Rumours) *forks {
	return &forks{w: w, rumours: r, news: make(chan struct{}, 1), told: map[lease.Principal]bool{}}
}

// poke says that there may be something to tell. It does not wait.
func (f *forks) poke() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// run compares the two until ctx ends. What is on disk is there for those who pull.
func (f *forks) run(ctx context.Context) {
	for _, e := range f.w.forked() {
		if err := f.rumours.Keep(e.Fork.Bytes(), e.Told()); err != nil {
			f.w.d.deps.Log.Warn("the proof of a forked log is not passed on", "node", e.Node, "err", err)
		}
		f.told[e.Node] = true
	}
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for {
		if err := f.compare(ctx); err != nil && ctx.Err() == nil {
			f.w.d.deps.Log.Warn("the proof of a forked log was not passed on; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-f.news:
		case <-f.rumours.Heard():
		case <-tick.C:
		}
	}
}

// compare gives each side what it lacks.
func (f *forks) compare(ctx context.Context) error {
	goes := map[lease.Principal]bool{}
	here := f.w.forked()
	for _, p := range f.rumours.Kept() {
		goes[p.Accused] = true
		if _, ok := here[p.Accused]; ok {
			continue
		}
		read, err := ReadFork(p.Bytes)
		if err != nil {
			return err
		}
		f.w.submit(ctx, audit.Told{Fork: read.(forkRead).Fork})
	}
	for node, e := range here {
		switch {
		case goes[node]:
			f.told[node] = true
		case e.Told():
			f.w.submit(ctx, audit.Displaced{Node: node})
		case !f.told[node]:
			ctx, cancel := context.WithTimeout(ctx, noticeLimit)
			err := f.rumours.Accuse(ctx, e.Fork.Bytes())
			cancel()
			if err != nil {
				return err
			}
			f.told[node] = true
		}
	}
	for node := range f.told {
		if _, ok := here[node]; !ok {
			delete(f.told, node)
		}
	}
	return nil
}

// TakeFork has the network told of a fork that the node's owner brings; what comes
// of it comes as of any other.
func (a audits) TakeFork(ctx context.Context, fork []byte) (out api.Watched, err error) {
	if a.d.forks == nil {
		return out, api.ErrVisitor
	}
	shown, err := audit.VerifyProof(fork)
	if err == nil && shown.Kind != audit.ProofFork {
		err = fmt.Errorf("%s is not of a fork: %w", shown.Kind, audit.ErrProofShape)
	}
	if err != nil {
		return out, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	if err := a.d.forks.rumours.Accuse(ctx, fork); err != nil {
		return out, err
	}
	return api.Watched{Node: shown.Head.Node, State: stateOf(audit.Watch{Fork: new(audit.Fork)}), Size: shown.Head.Size, Fork: fork}, nil
}

// forkRead is a fork as gossip has it: one a node is enough, so the node names it.
type forkRead struct {
	*audit.Fork
	node lease.Principal
}

// ReadFork reads a fork for gossip, and verifies nothing. Errors are those of
// [audit.ReadProof], and audit.ErrProofShape for a proof of another kind.
func ReadFork(b []byte) (gossip.Evidence, error) {
	p, err := audit.ReadProof(b)
	if err != nil {
		return nil, err
	}
	f, ok := p.(*audit.Fork)
	if !ok {
		return nil, fmt.Errorf("%s where a fork belongs: %w", p.Kind(), audit.ErrProofShape)
	}
	node, err := f.Accused()
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	return forkRead{f, node}, nil
}

func (f forkRead) ID() lease.ID             { return lease.ID(f.node) }
func (f forkRead) Accused() lease.Principal { return f.node }

func (f forkRead) Shows() (gossip.Shown, error) {
	s, err := f.Verify()
	if err != nil {
		return gossip.Shown{}, err
	}
	return gossip.Shown{Kind: s.Kind.String(), Accused: s.Head.Node, Ends: gossip.Never}, nil
}
