// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
)

// trips remembers what came of the probes that this node makes of others by itself, as
// alive does. What was measured for somebody's question is not among them: slivers read
// this, and would read what others ask.
type trips struct {
	mu    sync.Mutex
	known map[lease.Principal]*probes
}

// probes are the last ones of one node.
type probes struct {
	missed uint32 // a bit each, the newest lowest
	asked  int    // at most tripWindow
	rtt    time.Duration
	at     time.Time
}

const (
	// tripWindow is the number of probes over which loss is told, and tripValid how long
	// they count: a path of half an hour ago is another.
	tripWindow = 32
	tripValid  = 10 * time.Minute
)

func newTrips() *trips { return &trips{known: map[lease.Principal]*probes{}} }

// told takes one probe in.
func (t *trips) told(node lease.Principal, rtt time.Duration, err error) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.known[node]
	if p == nil || now.Sub(p.at) > tripValid {
		t.makeRoom(now)
		p = &probes{}
		t.known[node] = p
	}
	p.missed, p.asked, p.at = p.missed<<1, min(p.asked+1, tripWindow), now
	if err != nil {
		p.missed |= 1
		return
	}
	p.rtt = rtt
}

// makeRoom forgets who was not probed of late, and the eldest while there are too many.
// It is called with mu held.
func (t *trips) makeRoom(now time.Time) {
	if len(t.known) < api.MaxPaths {
		return
	}
	var eldest lease.Principal
	var at time.Time
	for node, p := range t.known {
		if now.Sub(p.at) > tripValid {
			delete(t.known, node)
		} else if at.IsZero() || p.at.Before(at) {
			eldest, at = node, p.at
		}
	}
	if len(t.known) >= api.MaxPaths {
		delete(t.known, eldest)
	}
}

// path is what the probes of a node say.
func (t *trips) path(node lease.Principal) (path api.Path, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	path.Node = node
	p := t.known[node]
	if p == nil || time.Since(p.at) > tripValid {
		return path, false
	}
	path.RTT, path.Age, path.Asked = float64(p.rtt.Microseconds())/1000, time.Since(p.at).Round(time.Millisecond).Seconds(), p.asked
	path.Missed = bits.OnesCount32(p.missed)
	path.Loss = float64(path.Missed) / float64(path.Asked)
	return path, true
}

// nodes are those that were probed.
func (t *trips) nodes() []lease.Principal {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]lease.Principal, 0, len(t.known))
	for node := range t.known {
		list = append(list, node)
	}
	slices.SortFunc(list, func(a, b lease.Principal) int { return slices.Compare(a[:], b[:]) })
	return list
}
