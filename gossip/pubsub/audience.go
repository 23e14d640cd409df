// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"bytes"
	"context"
	"sync"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
)

// audience is who was told of the node's newest offer, and which neighbours were
// lost. A node that was cut off, or whose machine slept, publishes into connections
// that are dead, and nobody ever hears it: the router sends nothing twice. And what
// went round meanwhile it has missed.
type audience struct {
	wake chan struct{} // capacity of one: it may be time to tell again

	mu     sync.Mutex
	newest []byte               // the offer
	told   map[peer.ID]struct{} // those of its hearers that are still there
	heard  bool                 // anybody ever was: a newcomer's first offers are for the daemon to repeat
	open   map[peer.ID]struct{} // neighbours with a stream
	lost   map[peer.ID]struct{} // those whose stream ended since the last pull
	began  time.Time            // when it was last missed so much that pulls began anew
}

func newAudience() *audience {
	return &audience{wake: make(chan struct{}, 1), told: map[peer.ID]struct{}{}, open: map[peer.ID]struct{}{}, lost: map[peer.ID]struct{}{}}
}

// telling begins with a newer offer, before anybody is told.
func (a *audience) telling(offer []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest = offer
	clear(a.told)
}

// sent hears of a packet that waits to be sent.
func (a *audience) sent(rpc *ps.RPC, to peer.ID) {
	for _, m := range rpc.GetPublish() {
		if m.GetTopic() != TopicCapacity {
			continue
		}
		a.mu.Lock()
		if bytes.Equal(m.GetData(), a.newest) {
			a.told[to], a.heard = struct{}{}, true
		}
		a.mu.Unlock()
	}
}

// received hears of a packet: who says what it subscribes to can be told.
func (a *audience) received(rpc *ps.RPC) {
	for _, s := range rpc.GetSubscriptions() {
		if s.GetTopicid() == TopicCapacity && s.GetSubscribe() {
			a.look()
			return
		}
	}
}

func (a *audience) came(id peer.ID) {
	a.mu.Lock()
	a.open[id] = struct{}{}
	a.mu.Unlock()
	a.look()
}

func (a *audience) went(id peer.ID) {
	a.mu.Lock()
	if _, was := a.open[id]; was && len(a.lost) < maxLost {
		a.lost[id] = struct{}{}
	}
	delete(a.open, id)
	delete(a.told, id)
	a.mu.Unlock()
	a.look()
}

// look wakes whoever tells again, if nobody is left that was told.
func (a *audience) look() {
	if !a.untold() {
		return
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *audience) untold() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard && len(a.told) == 0
}

// missed reports whether so many neighbours were lost that the view may lack what
// went round, and begins to count anew. One that comes and goes is one; and whoever
// brings many neighbours to do so has pulls begin anew once in every.
func (a *audience) missed(now time.Time, every time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lost) == 0 || len(a.lost) < len(a.open) || !a.began.IsZero() && now.Sub(a.began) < every {
		return false
	}
	clear(a.lost)
	a.began = now
	return true
}

// pulled says that a neighbour brought what was missed.
func (a *audience) pulled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.lost)
}

// keepTelling wants the offer told again when nobody who heard it is there any
// more, and somebody else is.
func (g *Gossip) keepTelling(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.counts.audience.wake:
		}
		if !g.counts.audience.untold() || len(g.topics[TopicCapacity].ListPeers()) == 0 {
			continue
		}
		g.cfg.Log.Debug("nobody is left who heard this node's offer")
		g.cfg.Retell()
		select { // so often others take it
		case <-ctx.Done():
			return
		case <-time.After(gossip.Refill):
		}
		g.counts.audience.look()
	}
}
