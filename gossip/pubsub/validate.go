// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"fmt"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
)

// capacity judges one message of the topic of offers, and stores it.
func (g *Gossip) capacity(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == g.cfg.Host.ID() {
		return ps.ValidationAccept // Publish has put it into the view
	}
	return g.result(g.step(gossip.Received{Bytes: m.Data, From: principal(from)}))
}

// leases judges one notice. It is soft news: nothing is kept of it here.
func (g *Gossip) leases(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == g.cfg.Host.ID() {
		return ps.ValidationAccept
	}
	g.mu.Lock()
	n, verdict := g.notices.Receive(g.cfg.Now(), m.Data, g.view.Has)
	g.mu.Unlock()
	if verdict.Judgement == judge.Accept && g.cfg.OnNotice != nil {
		g.cfg.OnNotice(n)
	}
	return g.result(verdict)
}

// optouts judges one opt-out, and keeps it.
func (g *Gossip) optouts(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == g.cfg.Host.ID() {
		return ps.ValidationAccept // whoever publishes it has looked at it
	}
	return g.result(g.cfg.OptOuts.Receive(gossip.Received{Bytes: m.Data, From: principal(from)}))
}

func (g *Gossip) result(v gossip.Verdict) ps.ValidationResult {
	switch v.Judgement {
	case judge.Accept:
		return ps.ValidationAccept
	case judge.Reject:
		g.counts.add("reject:" + string(v.Reason))
		return ps.ValidationReject
	}
	g.counts.add("ignore:" + string(v.Reason))
	return ps.ValidationIgnore
}

// principal is the key in a peer's id. All with another kind of key are one, so
// that they share one place; it is not zero, which is the node itself.
func principal(id peer.ID) lease.Principal {
	other := lease.Principal{1}
	key, err := id.ExtractPublicKey()
	if err != nil {
		return other
	}
	raw, err := key.Raw()
	if err != nil || len(raw) != len(other) {
		return other
	}
	return lease.Principal(raw)
}

// peerOf is the peer id of a principal.
func peerOf(p lease.Principal) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Short(), err)
	}
	return peer.IDFromPublicKey(key)
}
