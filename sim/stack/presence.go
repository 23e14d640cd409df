// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"math"

	"croft/gossip/alive"
	"croft/gossip/pubsub"
	"croft/lease/offer"
)

// presence hears whom a daemon suspects and leaves out.
func (n *node) presence(e alive.Effect) {
	s := n.s
	switch e := e.(type) {
	case alive.Publish:
		if o, ok := s.keyed(e.Node); ok {
			wrong := s.reachable(n, o)
			s.figures.Lock()
			defer s.figures.Unlock()
			s.figures.told.Add(s.now(), 1)
			if wrong {
				s.figures.falsely.Add(s.now(), 1)
			}
		}
	case alive.Changed:
		if o, ok := s.keyed(e.Node); ok {
			out := e.Standing == alive.Absent
			wrong := out && s.reachable(n, o)
			s.figures.Lock()
			defer s.figures.Unlock()
			s.figures.deaths.Stands(s.now(), n.index, o.index, out)
			if wrong {
				s.figures.leftOut.Add(s.now(), 1)
			}
		}
	}
}

// reachable reports whether a node is up, and nothing between it and another is cut.
func (s *Stack) reachable(by, n *node) bool {
	n.books.Lock()
	up := n.up
	n.books.Unlock()
	return up && !s.wires.Cut(by.index, n.index)
}

// died opens the book on a death: those that are there and had heard of the node
// should notice.
func (n *node) died() {
	var knew []int
	for _, o := range n.s.nodes {
		o.books.Lock()
		if o != n && o.up && o.told && o.seen.has(n.index) {
			knew = append(knew, o.index)
		}
		o.books.Unlock()
	}
	n.s.figures.Lock()
	defer n.s.figures.Unlock()
	n.s.figures.deaths.Died(n.s.now(), n.index, knew)
}

// returned closes that book.
func (n *node) returned() {
	n.s.figures.Lock()
	defer n.s.figures.Unlock()
	n.s.figures.deaths.Returned(n.s.now(), n.index)
}

// meshes are the neighbours of a node that offers go to at once, and how many copies of
// messages came to it, of which so many for the first time.
func (n *node) meshes() (neighbours int, first, copies uint64, ok bool) {
	deps := n.way()
	if deps == nil {
		return 0, 0, 0, false
	}
	quick, cancel := context.WithCancel(context.Background())
	cancel() // how far the neighbours are is not asked
	net, err := deps.Overlay.Net(quick)
	if err != nil {
		return 0, 0, 0, false
	}
	for _, t := range net.Topics {
		if t.Topic == pubsub.TopicCapacity {
			neighbours = t.Mesh
		}
	}
	return neighbours, net.Delivered, net.Doubles, true
}

// coordinates says how far off estimates of round-trip times are, between pairs of
// nodes drawn at random, by the newest offers of both.
func (s *Stack) coordinates() (off []float64) {
	newest := map[int]*offer.Opened{}
	s.offers.mu.Lock()
	for _, t := range s.offers.order {
		if t.origin >= 0 {
			newest[t.origin] = t.offer
		}
	}
	s.offers.mu.Unlock()
	for range min(len(s.nodes)*len(s.nodes), 20_000) {
		a, b := s.nodes[s.draw(len(s.nodes))], s.nodes[s.draw(len(s.nodes))]
		from, to := newest[a.index], newest[b.index]
		if a == b || !a.isPresent() || !b.isPresent() || from == nil || to == nil || from.Coordinate == nil || to.Coordinate == nil {
			continue
		}
		real := 2 * s.profile.OneWay(a.index, b.index)
		off = append(off, math.Abs(float64(offer.Estimate(from.Coordinate, to.Coordinate)-real))/float64(real))
	}
	return off
}
