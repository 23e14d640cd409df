// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/lease/judge"
)

// capacity judges one message of the topic of offers, and stores it.
func (g *Gossip) capacity(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
	if from == g.cfg.Host.ID() {
		return ps.ValidationAccept // Publish has put it into the view
	}
	g.mu.Lock()
	effects := g.view.Step(g.cfg.Now(), gossip.Received{Bytes: m.Data, From: principal(from)})
	g.mu.Unlock()
	for _, e := range effects {
		if s, ok := e.(gossip.Stored); ok {
			m.Data = s.Offer.Bytes // what the view and the router keep is one copy, also where views share offers
		}
	}
	return g.result(g.tell(effects))
}

// noting is a validator that notes what it judged, so that copies are told at a glance.
func (g *Gossip) noting(validate ps.ValidatorEx) ps.ValidatorEx {
	return func(ctx context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
		result := validate(ctx, from, m)
		if result != ps.ValidationReject {
			g.copies.add(g.cfg.Now(), m.ID)
		}
		return result
	}
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
