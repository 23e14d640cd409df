// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"croft/node/api"
)

// asked bounds what one network has the node read for it. Keys are free and
// addresses are not, so networks are counted; all who come through another node,
// and do not show an address of their own, share one allowance.
type asked struct {
	mu sync.Mutex
	by map[netip.Prefix]*allowance
}

// allowance is what somebody may still ask; he may owe.
type allowance struct {
	left float64
	at   time.Time
}

func newAsked() *asked { return &asked{by: map[netip.Prefix]*allowance{}} }

// take reports whether a network may ask, and charges it for one question.
func (q *asked) take(now time.Time, from netip.Prefix) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.of(now, from)
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// may reports whether a network may ask, and charges nothing.
func (q *asked) may(now time.Time, from netip.Prefix) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.of(now, from).left >= 1
}

// charge adds what a question cost beside itself.
func (q *asked) charge(now time.Time, from netip.Prefix, cost float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.of(now, from).left -= cost
}

func (q *asked) of(now time.Time, from netip.Prefix) *allowance {
	a, ok := q.by[from]
	if !ok {
		if len(q.by) >= maxAskers {
			q.forget(now)
		}
		a = &allowance{left: askBurst, at: now}
		q.by[from] = a
	}
	a.fill(now, askBurst, askRate)
	return a
}

func (a *allowance) fill(now time.Time, burst, rate float64) {
	if passed := now.Sub(a.at); passed > 0 {
		a.left = min(burst, a.left+passed.Seconds()*rate)
	}
	a.at = now
}

// forget lets go of those that owe nothing, or of the one that owes least.
func (q *asked) forget(now time.Time) {
	var most netip.Prefix
	for from, a := range q.by {
		if a.fill(now, askBurst, askRate); a.left >= askBurst {
			delete(q.by, from)
			continue
		}
		if m, ok := q.by[most]; !ok || a.left > m.left {
			most = from
		}
	}
	if len(q.by) >= maxAskers {
		delete(q.by, most)
	}
}

// allowed charges an asker's network for a question, or refuses.
func (a audits) allowed(k asker) error {
	if !k.owner && !a.asked.take(a.d.deps.Clock.Wall(), k.network) {
		return fmt.Errorf("%w: your network has asked this node's record often; ask again in a minute", api.ErrBusy)
	}
	return nil
}

// charge adds what a question cost beside itself.
func (a audits) charge(k asker, cost float64) {
	if !k.owner {
		a.asked.charge(a.d.deps.Clock.Wall(), k.network, cost)
	}
}
