// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"maps"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"croft/gossip/topic"
)

// Control is the name under which Stats counts what the router says beside
// messages: who is on which topic, who has which message and who wants it.
const Control = "control"

// OnSlices is the name under which it counts the topics of slices, all together.
const OnSlices = "slices"

// Traffic is what went each way: messages, and bytes as the router encodes them.
type Traffic struct {
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
}

// traffic counts by topic. Those of other names, which only a stranger sends, are
// part of what is beside messages: names are not kept.
type traffic map[string]*Traffic

func newTraffic(topics []string) traffic {
	t := traffic{Control: {}, OnSlices: {}}
	for _, topic := range topics {
		t[topic] = &Traffic{}
	}
	return t
}

func (t traffic) clone() map[string]Traffic {
	all := map[string]Traffic{}
	for name, of := range maps.All(t) {
		all[name] = *of
	}
	return all
}

// RecvRPC and SendRPC hear of every packet of the router's.
func (c *counters) RecvRPC(rpc *ps.RPC) {
	c.audience.received(rpc)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traffic.count(rpc, func(t *Traffic, messages, bytes int) {
		t.MessagesIn += uint64(messages)
		t.BytesIn += uint64(bytes)
	}, nil)
}

func (c *counters) SendRPC(rpc *ps.RPC, to peer.ID) {
	c.audience.sent(rpc, to)
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(t *Traffic, messages, bytes int) {
		t.MessagesOut += uint64(messages)
		t.BytesOut += uint64(bytes)
	}
	c.traffic.count(rpc, add, func(m *pb.Message, bytes int) { // what is passed on on topics of slices by their names too
		if t := c.joined[m.GetTopic()]; t != nil && !c.own.has(m.GetData()) {
			add(t, 1, bytes)
		}
	})
}

// accepted hears of a message from others on a topic of a slice, once: copies and what
// the record forbids are whoever sent them's, and nobody here pays for those.
func (c *counters) accepted(name string, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.joined[name]; t != nil {
		t.MessagesIn++
		t.BytesIn += uint64(bytes)
	}
}

// follow counts a topic by its name until unfollow.
func (c *counters) follow(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined[name] = &Traffic{}
}

// says: a message is of this node, and what it sends of it is not passed on.
func (c *counters) says(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own.add(message)
}

func (c *counters) unfollow(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.joined, name)
}

func (c *counters) moved(name string) Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.joined[name]; t != nil {
		return *t
	}
	return Traffic{}
}

// count counts all of a packet. What is on topics of slices each hears of; nil: nobody does.
func (t traffic) count(rpc *ps.RPC, add func(t *Traffic, messages, bytes int), each func(m *pb.Message, bytes int)) {
	rest := proto.Size(&rpc.RPC)
	for _, m := range rpc.GetPublish() {
		name := m.GetTopic()
		if topic.Named(name) {
			name = OnSlices
		}
		if of := t[name]; of != nil && m.GetTopic() != Control && m.GetTopic() != OnSlices {
			size := proto.Size(m)
			add(of, 1, size)
			if name == OnSlices && each != nil {
				each(m, size)
			}
			rest -= size
		}
	}
	if rest > 0 {
		add(t[Control], 0, rest)
	}
}
