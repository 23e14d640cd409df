// SPDX-License-Identifier: Apache-2.0

package central

import (
	"bytes"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Cost is what a server's core spends.
type Cost struct {
	Update time.Duration // on an offer that comes in: its signature is verified
	Query  time.Duration // on a query: it is read, and its answer written
	Look   time.Duration // on each offer that is matched with it
}

// server keeps the newest offer of each node, and does one thing after the other.
type server struct {
	place int
	kept  map[lease.Principal]entry
	nodes []lease.Principal // that are kept, sorted
	free  time.Duration     // when its core is free
	busy  time.Duration     // how long it worked, since the first query
	in    uint64            // bytes, since the first query
	out   uint64
}

type entry struct {
	offer offer.Opened
	until time.Duration
}

// work occupies the core and returns when the work is done, and how long it waited
// before.
func (s *server) work(now, cost time.Duration, counts bool) (done, waited time.Duration) {
	start := max(now, s.free)
	s.free = start + cost
	if counts {
		s.busy += cost
	}
	return s.free, start - now
}

// take keeps an offer unless a newer one of its node is there.
func (s *server) take(now, until time.Duration, o offer.Opened) {
	old, known := s.kept[o.Node]
	if known && old.offer.Sequence >= o.Sequence {
		return
	}
	if !known {
		at, _ := slices.BinarySearchFunc(s.nodes, o.Node, comparePrincipals)
		s.nodes = slices.Insert(s.nodes, at, o.Node)
	}
	s.kept[o.Node] = entry{o, min(until, now+lapse)}
}

// match answers a query out of what holds.
func (s *server) match(now time.Duration, wall time.Time, q offer.Query) offer.Result {
	found := make([]offer.Found, 0, len(s.nodes))
	s.nodes = slices.DeleteFunc(s.nodes, func(n lease.Principal) bool {
		e := s.kept[n]
		if now >= e.until {
			delete(s.kept, n)
			return true
		}
		if !e.offer.Closed {
			found = append(found, offer.NewFound(e.offer, offer.DHT, wall))
		}
		return false
	})
	return offer.Answer(q, found, offer.Options{})
}

func comparePrincipals(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) }
