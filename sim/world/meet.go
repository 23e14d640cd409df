// SPDX-License-Identifier: Apache-2.0

package world

import (
	"net/netip"
	"slices"

	"croft/dht"
	"croft/gossip/topic"
)

// Subscribers of a topic are few among many. They meet at its place on the DHT, and
// look where the slice's record says that its slivers are.

// meet looks for the others of a topic, soon and then rarely.
func (n *peer) meet(o *openTopic, turn int) {
	if n.topics.open[o.name] != o {
		return
	}
	n.attend(o, func() {
		n.visit(o, func() {
			n.later(meetAgain[min(turn, len(meetAgain)-1)], func() { n.meet(o, turn+1) })
		})
	})
}

// attend says at the place of a topic that this node is there, to those who hold it,
// and connects to whom they name.
func (n *peer) attend(o *openTopic, done func()) {
	w, place, now := n.w, o.name.Place(), n.wall().Unix()
	own, err := topic.SealAttendance(topic.Attendance{Node: n.principal(), Place: place, Made: now, Until: now + topic.MaxAttendTerm,
		Addrs: [][]byte{n.address().AsSlice()}}, n.key)
	if err != nil {
		w.breach(n, err)
		return
	}
	var others []int32
	met := func(m topic.Met) {
		for _, b := range m.Others {
			a, err := topic.OpenAttendance(b, n.wall())
			if i := int32(w.known[a.Node]); err == nil && a.Place == place && int(i) != n.index && !slices.Contains(others, i) {
				others = append(others, i)
			}
		}
	}
	from := netip.PrefixFrom(n.address(), 24)
	n.walk(keyspace(place[:]), dht.LookupClosest, func(nearest []int32) {
		holders := nearest[:min(len(nearest), meetHolders)]
		if m, err := n.topics.meeting.Attend(n.wall(), own, netip.Prefix{}); err == nil { // it may be one of those who hold it
			met(m)
		}
		n.each(len(holders), len(holders), func(i int, next func()) {
			over := false
			once := func() {
				if !over {
					over = true
					next()
				}
			}
			n.request(int(holders[i]), len(own)+indexing, func(h *peer) (func(), int) {
				m, err := h.topics.meeting.Attend(h.wall(), own, from)
				size := indexing
				for _, b := range m.Others {
					size += len(b)
				}
				return func() {
					if err == nil && !over {
						met(m)
					}
					once()
				}, size
			})
			n.later(meetAsk, once)
		}, func() {
			w.note(n.index, "meets %v on %s", others, o.name.Topic)
			n.dial(o, others, done)
		})
	})
}

// visit connects to the nodes that the slice's record lists.
func (n *peer) visit(o *openTopic, done func()) {
	r, ok := n.topics.hub.Record(n.wall(), o.name)
	if !ok {
		done()
		return
	}
	var nodes []int32
	for _, p := range r.Nodes {
		if i, known := n.w.known[p]; known && i != n.index && len(nodes) < maxVisits {
			nodes = append(nodes, int32(i))
		}
	}
	n.dial(o, nodes, done)
}

// dial connects to others until the topic has neighbours enough.
func (n *peer) dial(o *openTopic, others []int32, done func()) {
	w := n.w
	others = others[:min(len(others), maxVisits)]
	n.each(parallelDials, len(others), func(i int, next func()) {
		to := int(others[i])
		wait := meetAsk
		switch {
		case len(n.audible(o)) >= enoughNeighbours, n.linked(to):
			wait = 0
		case w.nodes[to].up && !w.cut(n.index, to):
			wait = 4*w.profile.OneWay(n.index, to) + handling
		}
		n.later(wait, func() {
			if wait != meetAsk && wait > 0 && w.nodes[to].up {
				w.connect(n.index, to)
			}
			next()
		})
	}, done)
}

// linked reports whether there is a connection to another node.
func (n *peer) linked(to int) bool {
	return n.conns.find(to) >= 0 || slices.Contains(n.neighbour, int32(to))
}

// audible are those who subscribe to a topic and are connected.
func (n *peer) audible(o *openTopic) (list []int32) {
	sp := n.w.speechOn(o.name)
	if sp == nil {
		return nil
	}
	for _, i := range sp.subscribers {
		if int(i) != n.index && n.linked(int(i)) {
			list = append(list, i)
		}
	}
	return list
}

// each does something with items, at most width of them at once; each calls next
// when it is through, and done comes after the last.
func (n *peer) each(width, items int, do func(i int, next func()), done func()) {
	if items == 0 {
		n.later(0, done)
		return
	}
	begun, through := 0, 0
	var next func()
	begin := func() {
		begun++
		do(begun-1, next)
	}
	next = func() {
		if through++; through == items {
			done()
		} else if begun < items {
			begin()
		}
	}
	for range min(width, items) {
		begin()
	}
}
