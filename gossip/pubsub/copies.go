// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"sync"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"

	"croft/gossip"
)

// copies are the messages of the shared topics that were looked at lately and were no
// offence. Of three that come two are copies; the router would keep of each for a
// minute who sent it, which is most of what it keeps while many nodes join. Of offences
// it is to know all who sent them.
type copies struct {
	mu       sync.Mutex
	new, old map[messageName]struct{}
	turned   time.Time // when what was new became old
}

type messageName [gossip.IDSize]byte

// add notes a message that was looked at.
func (c *copies) add(now time.Time, id string) {
	if len(id) != gossip.IDSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	if c.new == nil {
		c.new = map[messageName]struct{}{}
	}
	if len(c.new) < maxCopies {
		c.new[messageName([]byte(id))] = struct{}{}
	}
}

// has reports whether a message was looked at lately.
func (c *copies) has(now time.Time, of messageName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	_, ok := c.new[of]
	if !ok {
		_, ok = c.old[of]
	}
	return ok
}

func (c *copies) turn(now time.Time) {
	switch since := now.Sub(c.turned); {
	case since >= 2*copiesFor || since < 0:
		c.new, c.old, c.turned = nil, nil, now
	case since >= copiesFor:
		c.new, c.old, c.turned = nil, c.new, now
	}
}

// copied counts a message that came once more, as the router and traffic would.
func (c *counters) copied(m *pb.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubles++
	if of := c.traffic[m.GetTopic()]; of != nil {
		of.MessagesIn++
		of.BytesIn += uint64(proto.Size(m))
	}
}
