// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"fmt"
	"sync"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
)

// Proofs carries the proofs of one kind: a topic, a pull, and the store that judges
// what comes by either. Its methods may be called at once.
type Proofs struct {
	g     *Gossip
	topic string
	proto protocol.ID

	mu   sync.Mutex // held while signatures are checked: one core, one proof
	kept *gossip.Proofs
}

// Accuse keeps a proof and tells the others. One that is kept already, or that
// has no room, is told again; that it proves nothing is an error.
func (p *Proofs) Accuse(ctx context.Context, proof []byte) error {
	verdict := p.step(gossip.Local{Bytes: proof})
	if verdict.Judgement != judge.Accept && verdict.Reason != judge.Duplicate && verdict.Reason != judge.Crowded {
		return fmt.Errorf("publishing a proof: %s: %w", verdict, ErrRefused)
	}
	if err := p.g.topics[p.topic].Publish(ctx, proof); err != nil {
		return fmt.Errorf("publishing a proof: %w", err)
	}
	return nil
}

// Keep keeps a proof from earlier, and tells nobody: who lacks it pulls it. What
// others had told goes before what the node found itself.
func (p *Proofs) Keep(proof []byte, told bool) error {
	var in gossip.Input = gossip.Local{Bytes: proof}
	if told {
		in = gossip.Received{Bytes: proof, From: gossip.Past, Pulled: true}
	}
	verdict := p.step(in)
	if verdict.Judgement != judge.Accept && verdict.Reason != judge.Duplicate {
		return fmt.Errorf("keeping a proof: %s: %w", verdict, ErrRefused)
	}
	return nil
}

// Kept returns the proofs that are kept, by id.
func (p *Proofs) Kept() []gossip.Proven {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept.Proven()
}

// Pull asks a neighbour for the proofs that we do not keep, and returns how many of
// them were news. What is more than one pull moves comes with the next.
func (p *Proofs) Pull(ctx context.Context, from peer.ID) (news int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	p.mu.Lock()
	req := gossip.ProofPull{Digest: p.kept.Digest()}
	p.mu.Unlock()
	for range gossip.MaxProofPages {
		b, err := p.g.ask(ctx, from, p.proto, req, gossip.MaxProofPage)
		if err != nil {
			return news, fmt.Errorf("pulling proofs from %s: %w", from, err)
		}
		page, err := gossip.DecodeProofPage(b)
		if err == nil {
			var n int
			n, err = p.g.take(from, page.Proofs, p.step)
			news += n
		}
		if err != nil {
			return news, fmt.Errorf("pulling proofs from %s: %w", from, err)
		}
		if page.After.IsZero() || len(page.Proofs) == 0 {
			break
		}
		req.After = page.After
	}
	return news, nil
}

// step applies an input to the store and tells of its effects.
func (p *Proofs) step(in gossip.Input) gossip.Verdict {
	p.mu.Lock()
	effects := p.kept.Step(p.g.cfg.Now(), in)
	p.mu.Unlock()
	return p.g.tell(effects)
}

// validate judges one proof of the topic, and keeps it.
func (p *Proofs) validate(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == p.g.cfg.Host.ID() {
		return ps.ValidationAccept // Accuse has looked at it
	}
	return p.g.result(p.step(gossip.Received{Bytes: m.Data, From: principal(from)}))
}

// page answers a pull.
func (p *Proofs) page(b []byte) (any, error) {
	req, err := gossip.DecodeProofPull(b)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept.Page(req), nil
}

// known reports whether a principal is a node that has an offer.
func (g *Gossip) known(who lease.Principal) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Has(who)
}
