// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/gossip"
	"croft/lease"
)

// ProtocolOptOuts is the stream protocol id of pulls of opt-outs.
const ProtocolOptOuts protocol.ID = "/croft/optouts/1"

// OptOuts is a set of entries that gossip carries and knows nothing else of. All
// methods may be called at once, and none waits for anything slow.
type OptOuts interface {
	// Receive judges an entry, and keeps what it accepts.
	Receive(in gossip.Received) gossip.Verdict
	// Digest is the state of the set: entries in order of ids, by their first bits.
	Digest() gossip.Digest
	// Page returns entries that one whose set has another digest may lack, behind
	// a cursor, at most gossip.PageBytes, and the cursor for the next page.
	Page(theirs gossip.Digest, after lease.ID) (entries [][]byte, next lease.ID)
}

// OptOut tells everybody of an entry that the set has taken. With no neighbour
// there is nobody to tell, which is no error: they will pull.
func (g *Gossip) OptOut(ctx context.Context, entry []byte) error {
	t := g.topics[TopicOptOuts]
	if t == nil {
		return fmt.Errorf("publishing an opt-out: %w", ErrRefused)
	}
	if err := t.Publish(ctx, entry); err != nil {
		return fmt.Errorf("publishing an opt-out: %w", err)
	}
	return nil
}

// PullOptOuts asks a neighbour for the entries that we do not keep, and returns how
// many of them were news. What is more than one pull moves comes with the next,
// which goes on where this one ended: so entries that we do not take do not stand
// in the way of the others.
func (g *Gossip) PullOptOuts(ctx context.Context, from peer.ID) (news int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	g.optoutMu.Lock()
	req := gossip.ProofPull{Digest: g.cfg.OptOuts.Digest(), After: g.optoutAfter}
	g.optoutMu.Unlock()
	defer func() {
		g.optoutMu.Lock()
		g.optoutAfter = req.After
		g.optoutMu.Unlock()
	}()
	for range maxOptOutPages {
		b, err := g.ask(ctx, from, ProtocolOptOuts, req, gossip.MaxProofPage)
		if err != nil {
			return news, fmt.Errorf("pulling opt-outs from %s: %w", from, err)
		}
		page, err := gossip.DecodeProofPage(b)
		if err == nil {
			var n int
			n, err = g.take(from, page.Proofs, func(in gossip.Input) gossip.Verdict {
				return g.cfg.OptOuts.Receive(in.(gossip.Received))
			})
			news += n
		}
		if err != nil {
			req.After = lease.ID{}
			return news, fmt.Errorf("pulling opt-outs from %s: %w", from, err)
		}
		if req.After = page.After; req.After.IsZero() || len(page.Proofs) == 0 {
			req.After = lease.ID{}
			break
		}
	}
	return news, nil
}

func (g *Gossip) optoutPage(b []byte) (any, error) {
	req, err := gossip.DecodeProofPull(b)
	if err != nil {
		return nil, err
	}
	var page gossip.ProofPage
	page.Proofs, page.After = g.cfg.OptOuts.Page(req.Digest, req.After)
	return page, nil
}
