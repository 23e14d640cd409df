// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/lease"
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
	n, err := gossip.OpenNotice(m.Data, g.cfg.Now())
	if err == nil && g.cfg.OnNotice != nil {
		g.cfg.OnNotice(n)
	}
	judgement, reason := gossip.Judge(err)
	return g.result(gossip.Verdict{Judgement: judgement, Reason: reason})
}

func (g *Gossip) result(v gossip.Verdict) ps.ValidationResult {
	switch v.Judgement {
	case gossip.Accept:
		return ps.ValidationAccept
	case gossip.Reject:
		g.counts.add("reject:" + string(v.Reason))
		return ps.ValidationReject
	}
	g.counts.add("ignore:" + string(v.Reason))
	return ps.ValidationIgnore
}

// principal is the key in a peer's id; zero for a peer with another kind of key,
// which then shares one place in the view with all its like.
func principal(id peer.ID) (p lease.Principal) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return p
	}
	if raw, err := key.Raw(); err == nil && len(raw) == len(p) {
		copy(p[:], raw)
	}
	return p
}
