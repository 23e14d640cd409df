// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/daemon"
	"croft/sim/scenario"
)

// page is how many matches are one.
const page = 20

// find has nodes at random look for others, and, where that is without the view, for a
// record, to compare with: one that was put when the first asks.
func (s *Stack) find(do *scenario.Find) {
	q, err := offer.ParseQuery(do.Where)
	if err != nil {
		s.fail(err)
		return
	}
	plain := keyOf(s.scn.Seed, fmt.Sprint("record ", do.Where, s.now()))
	if do.View == "off" {
		s.in(0, func() { s.put(plain) })
	}
	for i := range do.Count {
		s.in(time.Duration(i)*do.Every, func() {
			n := s.anyPresent()
			if n == nil {
				return
			}
			deps := n.way()
			if deps == nil {
				return
			}
			s.seek(n, deps, do, q)
			if do.View == "off" {
				s.get(deps, plain.Principal())
			}
		})
	}
}

// seek asks one node for nodes.
func (s *Stack) seek(n *node, deps *daemon.Deps, do *scenario.Find, q offer.Query) {
	there := s.findable(n, q)
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	self := n.key.Principal()
	var first, filled time.Duration
	began, matched := s.now(), 0
	_, err := deps.Discovery.Seek(ctx, offer.FindRequest{Query: do.Where, View: do.View != "off"}, func(f offer.Found) error {
		if f.Offer.Node == self {
			return nil // of itself it knows without
		}
		matched++
		if matched == 1 {
			first = s.now()
		}
		if matched == page {
			filled = s.now()
		}
		return nil
	})
	s.figures.Lock()
	defer s.figures.Unlock()
	if err != nil {
		s.figures.Counter("finds", "failed").Add(s.now(), 1)
	}
	if do.View != "off" {
		return // the view's answers are at once
	}
	s.figures.Ask(there, matched, page, matched > 0)
	if matched > 0 {
		s.figures.Lookup.Add(first, int64(first-began))
	}
	if filled > 0 {
		s.figures.Page.Add(filled, int64(filled-began))
	}
}

// findable counts what a node could find beside itself.
func (s *Stack) findable(n *node, q offer.Query) (many int) {
	s.offers.mu.Lock()
	defer s.offers.mu.Unlock()
	for i, o := range s.offers.latest {
		if i == n.index || o == nil || o.Closed {
			continue
		}
		if ok, _ := q.Match(&o.Offer, offer.Measured{}); ok && s.nodes[i].isPresent() && !s.nodes[i].isHole() {
			many++
		}
	}
	return many
}

// put has some node put a record of the key.
func (s *Stack) put(key *sign.Key) {
	n := s.anyPresent()
	if n == nil {
		return
	}
	now := time.Now().Unix()
	rec, err := lease.SealSlice(lease.SliceRecord{Owner: key.Principal(), Slice: "plain", Sequence: 1, Made: now, Until: now + 3600}, key)
	if err != nil {
		s.fail(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	if deps := n.way(); deps != nil {
		if err := deps.Slices.PutRecord(ctx, rec); err != nil {
			s.figures.Lock()
			defer s.figures.Unlock()
			s.figures.Counter("records", "not put").Add(s.now(), 1)
		}
	}
}

// get looks the record up.
func (s *Stack) get(deps *daemon.Deps, owner lease.Principal) {
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	began := s.now()
	_, err := deps.Slices.Record(ctx, owner, "plain")
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.Gets++
	if err == nil {
		s.figures.Got++
		s.figures.Get.Add(s.now(), int64(s.now()-began))
	}
}
