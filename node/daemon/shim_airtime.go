// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/node/api"
)

// airtime is what this node moves on topics for slivers: who uses which, and what
// each owes. A message said costs its bytes to each neighbour; what comes on a topic
// and is passed on is shared by those that hear it, people of the node among them.
type airtime struct {
	carrier func() SliceTopics

	mu     sync.Mutex
	topics map[topic.Name]*airedTopic
	debts  map[string]*debt // by sliver
}

func newAirtime(t func() SliceTopics) *airtime {
	return &airtime{carrier: t, topics: map[topic.Name]*airedTopic{}, debts: map[string]*debt{}}
}

type airedTopic struct {
	in, out uint64             // moved, when it was looked at last
	used    map[user]time.Time // when it last was
	hearers map[*hearer]bool
}

// user is a sliver, and whose its slice is.
type user struct {
	sliver string
	owner  lease.Principal
}

// hearer is one subscription of a sliver.
type hearer struct{ user }

// on reports whether the node is on a topic for slivers.
func (c *airtime) on(name topic.Name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics[name] != nil
}

// use takes a sliver's use of a topic into account; it counts until it was idle for a
// while, as long as the node stays on the topic.
func (c *airtime) use(u user, name topic.Name, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, his := 0, 0
	for n, t := range c.topics {
		for u, at := range t.used {
			if now.Sub(at) > topicLinger && !t.heardBy(u) {
				delete(t.used, u)
			}
		}
		if len(t.used) == 0 {
			delete(c.topics, n)
		}
		if n == name {
			continue
		}
		if _, ok := t.used[u]; ok {
			mine++
		}
		if t.usedBy(u.owner) {
			his++
		}
	}
	t := c.topics[name]
	switch {
	case mine >= maxSliverTopics:
		return fmt.Errorf("%w: %d topics of one sliver", api.ErrBusy, maxSliverTopics)
	case his >= maxOwnerTopics:
		return fmt.Errorf("%w: %d topics of the slivers of one owner on this node", api.ErrBusy, maxOwnerTopics)
	case t == nil && len(c.topics) >= maxShimTopics:
		return fmt.Errorf("%w: %d topics of slivers of this node", api.ErrBusy, maxShimTopics)
	case t == nil:
		t = &airedTopic{used: map[user]time.Time{}, hearers: map[*hearer]bool{}}
		c.topics[name] = t
	}
	t.used[u] = now
	return nil
}

func (t *airedTopic) usedBy(owner lease.Principal) bool {
	for u := range t.used {
		if u.owner == owner {
			return true
		}
	}
	return false
}

func (t *airedTopic) heardBy(u user) bool {
	for h := range t.hearers {
		if h.user == u {
			return true
		}
	}
	return false
}

// hears reports whether a sliver does. It is called with mu held.
func (c *airtime) hears(sliver string) bool {
	for _, t := range c.topics {
		for h := range t.hearers {
			if h.sliver == sliver {
				return true
			}
		}
	}
	return false
}

// mayHear is an error where a sliver has as many subscriptions as it may.
func (c *airtime) mayHear(u user) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tooMany(u)
}

func (c *airtime) tooMany(u user) error {
	n := 0
	for _, t := range c.topics {
		for h := range t.hearers {
			if h.user == u {
				n++
			}
		}
	}
	if n >= maxSliverHears {
		return fmt.Errorf("%w: %d subscriptions of one sliver", api.ErrBusy, maxSliverHears)
	}
	return nil
}

// hear begins a subscription of a sliver that uses the topic, if it has not too many.
func (c *airtime) hear(u user, name topic.Name) (*hearer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.tooMany(u); err != nil {
		return nil, err
	}
	t := c.topics[name]
	if t == nil {
		return nil, fmt.Errorf("%w: the topic was left", api.ErrBusy)
	}
	c.share(name, t) // what was moved before is not this one's
	h := &hearer{u}
	t.hearers[h] = true
	return h, nil
}

// leave ends a subscription. What it owes still the sliver owes.
func (c *airtime) leave(name topic.Name, h *hearer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.topics[name]; t != nil {
		c.share(name, t)
		t.used[h.user] = now
		delete(t.hearers, h)
	}
}

// share has those who hear a topic owe what was moved since, in equal parts; those of
// people nobody pays. It is called with mu held.
func (c *airtime) share(name topic.Name, t *airedTopic) {
	carrier := c.carrier()
	in, out := carrier.Moved(name)
	_, here := carrier.Reach(name)
	newIn, newOut := in-t.in, out-t.out
	if in < t.in || out < t.out { // the node had left the topic, and counts anew
		newIn, newOut = in, out
	}
	t.in, t.out = in, out
	if len(t.hearers) == 0 {
		return
	}
	n := uint64(max(len(t.hearers), here))
	for h := range t.hearers {
		d := c.debtOf(h.sliver, time.Now())
		d.in += int((newIn + n - 1) / n)
		d.out += int((newOut + n - 1) / n)
	}
}
