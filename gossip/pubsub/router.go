// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"crypto/sha256"
	"errors"
	"slices"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/gossip/topic"
)

// mesh is GossipSub with the degrees of package gossip. Beside a thin mesh, ids of
// what is new go to a few others each second; by the router's own rule they would
// go to a quarter of a hundred neighbours, and cost more than the messages.
// IDONTWANT stays at messages above 1 KiB: a neighbour that sends us an offer has
// sent it before it hears from us that we have it.
func mesh() ps.GossipSubParams {
	p := ps.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi = gossip.Degree, gossip.DegreeLow, gossip.DegreeHigh
	p.Dscore, p.Dout = p.Dlo, 0 // the router wants less than half a degree
	p.Dlazy, p.GossipFactor = gossip.Lazy, 0
	p.Connectors = 1 // addresses of others are not exchanged
	p.HeartbeatInterval, p.HistoryGossip = gossip.LazyEvery, gossip.LazyRounds
	return p
}

// messageID is the same for the same payload whoever publishes it.
func messageID(m *pb.Message) string {
	id := nameOf(m)
	return string(id[:])
}

func nameOf(m *pb.Message) messageName {
	h := sha256.New()
	h.Write([]byte(m.GetTopic()))
	h.Write([]byte{0})
	h.Write(m.GetData())
	return messageName(h.Sum(nil)[:gossip.IDSize])
}

var (
	errIntake  = errors.New("more messages than a neighbour may send")
	errAnswers = errors.New("more answers than a neighbour may have")
)

// inspect drops a packet whose messages are over the neighbour's allowance, unread, and
// copies of what was looked at, before the router remembers anything of it.
func (g *Gossip) inspect(from peer.ID, rpc *ps.RPC) error {
	if n, ok := g.allowed(from, rpc); !ok {
		g.counts.addSome("flood:messages", uint64(n))
		return errIntake
	}
	now := g.cfg.Now()
	rpc.Publish = slices.DeleteFunc(rpc.Publish, func(m *pb.Message) bool {
		if !g.subscriptions.shared[m.GetTopic()] || !g.copies.has(now, nameOf(m)) {
			return false
		}
		g.counts.copied(m)
		return true
	})
	return nil
}

// allowed reports whether a packet's messages are within the neighbour's allowance, and
// how many count; of those on topics of slices it leaves in it what may be carried.
func (g *Gossip) allowed(from peer.ID, rpc *ps.RPC) (n int, ok bool) {
	who, now := principal(from), g.cfg.Now()
	g.intakeMu.Lock()
	defer g.intakeMu.Unlock()
	for _, m := range rpc.Publish {
		if !topic.Named(m.GetTopic()) {
			n++
		}
	}
	if !g.intake.Take(now, who, n) {
		return n, false
	}
	rpc.Publish = slices.DeleteFunc(rpc.Publish, func(m *pb.Message) bool {
		if !topic.Named(m.GetTopic()) || g.intake.Carry(now, who, len(m.GetData())) {
			return false
		}
		g.counts.add("flood:slices")
		return true
	})
	return n, true
}

// application scores a neighbour that floods below those that do not: it leaves the
// mesh, and is heard all the same.
func (g *Gossip) application(of peer.ID) float64 {
	g.intakeMu.Lock()
	defer g.intakeMu.Unlock()
	if g.intake.Over(g.cfg.Now(), principal(of)) {
		return -1
	}
	return 0
}
