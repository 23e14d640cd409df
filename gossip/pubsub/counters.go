// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"maps"
	"sync"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// counters count what did not arrive or was not believed, by reason. They are
// the RawTracer of the router, which calls them while it works.
type counters struct {
	mu        sync.Mutex
	drops     map[string]uint64
	delivered uint64
	doubles   uint64
	meshes    map[string]map[peer.ID]bool // by topic
	traffic   traffic
	joined    map[string]*Traffic // by topic of a slice
	own       *own
	audience  *audience
}

func newCounters() *counters {
	return &counters{drops: map[string]uint64{}, meshes: map[string]map[peer.ID]bool{}, joined: map[string]*Traffic{}, own: newOwn(), audience: newAudience()}
}

// Stats is what `croft net` shows.
type Stats struct {
	Nodes      int                `json:"nodes"`      // in the view
	Neighbours int                `json:"neighbours"` // on the topic of offers
	Meshes     map[string]int     `json:"meshes"`     // by topic: those that forward to us and we to them
	Traffic    map[string]Traffic `json:"traffic"`    // by topic, and Control
	Delivered  uint64             `json:"delivered"`  // messages accepted
	Doubles    uint64             `json:"doubles"`    // messages that came more than once
	Drops      map[string]uint64  `json:"drops"`      // "ignore:expired", "queue:peer" and the like
}

// Stats returns a copy of the counters.
func (g *Gossip) Stats() Stats {
	var s Stats
	if t := g.topics[TopicCapacity]; t != nil {
		s.Neighbours = len(t.ListPeers())
	}
	g.mu.Lock()
	s.Nodes = g.view.Len()
	g.mu.Unlock()
	g.counts.mu.Lock()
	defer g.counts.mu.Unlock()
	s.Delivered, s.Doubles, s.Drops = g.counts.delivered, g.counts.doubles, maps.Clone(g.counts.drops)
	s.Traffic = g.counts.traffic.clone()
	s.Meshes = map[string]int{}
	for topic := range g.topics {
		s.Meshes[topic] = len(g.counts.meshes[topic])
	}
	return s
}

func (c *counters) add(reason string) { c.addSome(reason, 1) }

func (c *counters) addSome(reason string, n uint64) {
	c.mu.Lock()
	c.drops[reason] += n
	c.mu.Unlock()
}

// RejectMessage hears of every message that was not delivered. What our own
// validators said is counted there, with a better reason.
func (c *counters) RejectMessage(_ *ps.Message, reason string) {
	if reason != ps.RejectValidationFailed && reason != ps.RejectValidationIgnored {
		c.add("router:" + reason)
	}
}

func (c *counters) DeliverMessage(*ps.Message) {
	c.mu.Lock()
	c.delivered++
	c.mu.Unlock()
}

func (c *counters) DuplicateMessage(*ps.Message) {
	c.mu.Lock()
	c.doubles++
	c.mu.Unlock()
}

func (c *counters) Graft(p peer.ID, topic string) { c.meshed(p, topic, true) }
func (c *counters) Prune(p peer.ID, topic string) { c.meshed(p, topic, false) }

// OnNewOutboundStream hears of a peer to whom packets can go.
func (c *counters) OnNewOutboundStream(p peer.ID, _ protocol.ID) { c.audience.came(p) }

// OnClosedOutboundStream hears of a lost peer, for which there is no Prune.
func (c *counters) OnClosedOutboundStream(p peer.ID) {
	c.audience.went(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, mesh := range c.meshes {
		delete(mesh, p)
	}
}

func (c *counters) meshed(p peer.ID, topic string, in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch mesh := c.meshes[topic]; {
	case !in:
		if delete(mesh, p); len(mesh) == 0 {
			delete(c.meshes, topic)
		}
	case mesh == nil:
		c.meshes[topic] = map[peer.ID]bool{p: true}
	default:
		mesh[p] = true
	}
}

func (c *counters) DropRPC(*ps.RPC, peer.ID)         { c.add("queue:peer") }
func (c *counters) UndeliverableMessage(*ps.Message) { c.add("queue:subscriber") }
func (c *counters) ThrottlePeer(peer.ID)             { c.add("throttled") }

// The rest of the interface is of no interest here.
func (c *counters) Join(string)                                      {}
func (c *counters) Leave(string)                                     {}
func (c *counters) ValidateMessage(*ps.Message)                      {}
func (c *counters) SendRPCCompleted(*ps.RPC, peer.ID, time.Duration) {}
