// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
	"time"

	"croft/gossip/topic"
	"croft/node/api"
)

// airtime is what this node moves on topics for slivers: who uses which, and what
// each owes. A message said costs its bytes to each neighbour; what comes on a topic
// and is passed on is shared by the slivers that hear it.
type airtime struct {
	moved func(topic.Name) (in, out uint64)

	mu     sync.Mutex
	topics map[topic.Name]*airedTopic
}

type airedTopic struct {
	in, out uint64               // moved, when it was looked at last
	paid    uint64               // of what will go out: by who said it
	used    map[string]time.Time // by sliver: when it last was
	hearers map[*hearer]string   // and of which sliver each is

	neighbours int // to whom the last message went
}

// hearer is one subscription of a sliver, and what it owes: bytes.
type hearer struct{ in, out uint64 }

// use takes a sliver's use of a topic into account; it counts until it was idle for a
// while, as long as the node stays on the topic.
func (c *airtime) use(sliver string, name topic.Name, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := 0
	for n, t := range c.topics {
		for s, at := range t.used {
			if now.Sub(at) > topicLinger && !t.heardBy(s) {
				delete(t.used, s)
			}
		}
		if _, ok := t.used[sliver]; ok && n != name {
			mine++
		}
		if len(t.used) == 0 {
			delete(c.topics, n)
		}
	}
	switch t := c.topics[name]; {
	case mine >= maxSliverTopics:
		return fmt.Errorf("%w: %d topics of one sliver", api.ErrBusy, maxSliverTopics)
	case t != nil:
		t.used[sliver] = now
		return nil
	case len(c.topics) >= maxShimTopics:
		return fmt.Errorf("%w: %d topics of slivers of this node", api.ErrBusy, maxShimTopics)
	}
	c.topics[name] = &airedTopic{used: map[string]time.Time{sliver: now}, hearers: map[*hearer]string{}}
	return nil
}

func (t *airedTopic) heardBy(sliver string) bool {
	for _, s := range t.hearers {
		if s == sliver {
			return true
		}
	}
	return false
}

// hear begins a subscription of a sliver that uses the topic, if it has not too many.
func (c *airtime) hear(sliver string, name topic.Name) (*hearer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, t := range c.topics {
		for _, s := range t.hearers {
			if s == sliver {
				n++
			}
		}
	}
	t := c.topics[name]
	if n >= maxSliverHears || t == nil {
		return nil, fmt.Errorf("%w: %d subscriptions of one sliver", api.ErrBusy, maxSliverHears)
	}
	c.share(name, t) // what was moved before is not this one's
	h := &hearer{}
	t.hearers[h] = sliver
	return h, nil
}

// due is what a subscription owes since it was last asked.
func (c *airtime) due(name topic.Name, h *hearer) (in, out int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.topics[name]; t != nil {
		c.share(name, t)
	}
	in, out = int(h.in), int(h.out)
	*h = hearer{}
	return in, out
}

// leave ends a subscription. What it owes still is returned.
func (c *airtime) leave(name topic.Name, h *hearer, now time.Time) (in, out int) {
	in, out = c.due(name, h)
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.topics[name]; t != nil {
		t.used[t.hearers[h]] = now
		delete(t.hearers, h)
	}
	return in, out
}

// said: a message of so many bytes goes to neighbours, and is paid for.
func (c *airtime) said(name topic.Name, neighbours, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[name]
	if t == nil {
		return
	}
	t.neighbours = neighbours
	if len(t.hearers) > 0 {
		t.paid += uint64(neighbours * bytes)
	}
}

// neighbours is to how many the last message on a topic went.
func (c *airtime) neighbours(name topic.Name) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.topics[name]; t != nil {
		return t.neighbours
	}
	return 0
}

// share has those who hear a topic owe what was moved since, in equal parts. It is
// called with mu held.
func (c *airtime) share(name topic.Name, t *airedTopic) {
	in, out := c.moved(name)
	newIn, newOut := in-t.in, out-t.out
	if in < t.in || out < t.out { // the node had left the topic, and counts anew
		newIn, newOut = in, out
	}
	t.in, t.out = in, out
	n := uint64(len(t.hearers))
	if n == 0 {
		t.paid = 0
		return
	}
	paid := min(t.paid, newOut)
	t.paid -= paid
	newOut -= paid
	for h := range t.hearers {
		h.in += (newIn + n - 1) / n
		h.out += (newOut + n - 1) / n
	}
}
