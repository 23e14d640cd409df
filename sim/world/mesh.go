// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"slices"
	"time"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// The mesh is a model of GossipSub: each node has some neighbours, chosen at
// random among those that it can reach, as Kademlia's tables would have them, and
// passes on to all of them what its view accepts. With a newcomer that begins when the
// heart of its router beats: what it says before is told beside the mesh, a second later.

// message is an offer on its way.
type message struct {
	number uint64 // from 1
	origin int
	at     time.Duration
	bytes  []byte
	level  int // of the topic: 0 is that of everybody
	seen   seen
	foul   bool // of a hostile node
}

// envelope is what a message takes beside its payload.
const envelope = 80

// join brings a node in: it makes its key, talks to somebody who is there, finds
// neighbours and pulls their views.
func (n *peer) join() {
	if n.left || n.up {
		return
	}
	n.start()
	if !n.up { // its disk does not restore
		return
	}
	w := n.w
	w.note(n.index, "join")
	way := 25 * time.Millisecond
	if first := w.pick(n); first >= 0 {
		way = w.profile.OneWay(n.index, first)
	}
	n.later(6*way, n.settle) // a connection to it, its peers, connections to them
}

// settle finds neighbours, and pulls.
func (n *peer) settle() {
	n.meshed, n.grafted = n.w.now, 0
	if n.sharded == nil { // else what is told beside the mesh is not modelled
		n.grafted = n.since + firstBeat
	}
	if late := n.w.now - n.grafted; late > 0 && n.grafted > 0 {
		n.grafted += (late/gossip.LazyEvery + 1) * gossip.LazyEvery
	}
	if n.w.tables != nil {
		n.w.tables.enter(n.index)
	}
	n.resubscribe()
	n.graft(degree)
	if len(n.neighbour) == 0 {
		n.begun()
	}
	for i, to := range n.experienced(n.neighbour) {
		if i < firstPulls {
			n.pull(int(to), i == 0)
		}
	}
	n.repeat(0)
	n.measure()
}

// begun is when a node has what there was: it tells of itself.
func (n *peer) begun() {
	if !n.ready {
		n.ready = true
		n.w.told++
		n.offer(true)
	}
}

// pick draws a node that n can reach and is not linked to; -1: there is none.
func (w *World) pick(n *peer) int {
	for range 64 {
		i := w.rng.IntN(len(w.nodes))
		o := w.nodes[i]
		if o != n && o.up && o.room() && !w.cut(n.index, i) && !slices.Contains(n.neighbour, int32(i)) && !w.estranged(n, o) {
			return i
		}
	}
	for i, o := range w.nodes { // few are there
		if o != n && o.up && o.room() && !w.cut(n.index, i) && !slices.Contains(n.neighbour, int32(i)) && !w.estranged(n, o) {
			return i
		}
	}
	return -1
}

// room reports whether a node takes one more neighbour: who is hostile takes anybody.
func (n *peer) room() bool { return len(n.neighbour) < degreeHigh || n.evil != nil }

// graft links to others until there are so many.
func (n *peer) graft(want int) {
	for len(n.neighbour) < want {
		i := n.w.pick(n)
		if i < 0 {
			return
		}
		o := n.w.nodes[i]
		n.neighbour = append(n.neighbour, int32(i))
		o.neighbour = append(o.neighbour, int32(n.index))
	}
}

func (n *peer) unlink(i int) {
	n.neighbour = slices.DeleteFunc(n.neighbour, func(x int32) bool { return int(x) == i })
}

// silent has the neighbours of a node that is down notice, after a while.
func (w *World) silent(n *peer) {
	for _, i := range n.neighbour {
		o := w.nodes[i]
		o.later(noticeAfter, func() {
			o.unlink(n.index)
			if len(o.neighbour) < degreeLow {
				o.graft(degree)
			}
		})
	}
	n.neighbour = nil
}

// publish signs an offer and sends it off.
func (n *peer) publish(made offer.Offer) {
	w := n.w
	signed, err := offer.Seal(&made, n.key)
	if err != nil {
		w.breach(n, err)
		return
	}
	w.opened[&signed.Bytes[0]] = &signed
	n.heard(n.view.Step(n.wall(), gossip.Local{Bytes: signed.Bytes}))
	w.figures.published.Add(w.now, 1)
	m := &message{number: w.figures.published.Total(), origin: n.index, at: w.now, bytes: signed.Bytes}
	if s := n.sharded; s != nil {
		m.level = min(s.crowd.Level(w.areas.places[n.index].rank), s.level)
	}
	if n.sharded != nil {
		w.tally("published", fmt.Sprint("at level ", m.level))
	}
	if m.level == 0 {
		m.seen = newBits(len(w.nodes))
	} else {
		m.seen = &few{}
	}
	m.seen.mark(n.index)
	w.note(n.index, "publish %s", signed.ID.Short())
	w.messages = append(w.messages, m)
	if w.hostile != nil {
		w.hostile.sent[&m.bytes[0]] = m
	}
	w.retire(seenFor)
	n.latest = &signed
	if n.indexed != nil {
		n.enroll(&signed)
	}
	w.forward(m, n, -1)
	n.flood(m)
	n.remember(m)
}

// forward sends a message to the neighbours. A copy to who has it already is
// counted and not played: it would do nothing.
func (w *World) forward(m *message, n *peer, from int) {
	for _, i := range n.at(m.level) {
		to := int(i)
		if to == from || w.now < n.grafted || w.now < w.nodes[to].grafted {
			continue
		}
		n.count(kindOffers, len(m.bytes)+envelope)
		n.spend(w.figures.gossiped, len(m.bytes)+envelope)
		if m.seen.has(to) {
			w.figures.duplicates.Add(w.now, 1)
			w.nodes[to].admits(n)
			continue
		}
		w.carry(m, n.index, to)
		if w.again(n.index, to) {
			w.carry(m, n.index, to)
		}
	}
}

// carry has a copy of a message arrive.
func (w *World) carry(m *message, from, to int) {
	if d, ok := w.travel(from, to); ok {
		w.order++
		w.queue.push(event{at: w.now + d + handling, order: w.order, message: m, from: int32(from), to: int32(to)})
	}
}

// deliver is a copy of a message that arrives.
func (w *World) deliver(m *message, from, to int) {
	n := w.nodes[to]
	switch {
	case !n.up || m.seen == nil:
		return
	case n.evil != nil:
		n.overhears(m, from)
		return
	case !n.admits(w.nodes[from]):
		return
	case m.seen.has(to):
		w.figures.duplicates.Add(w.now, 1)
		return
	}
	m.seen.mark(to)
	effects := n.view.Step(n.wall(), gossip.Received{Bytes: m.bytes, From: w.nodes[from].principal()})
	n.heard(effects)
	v := effects[0].(gossip.Verdict)
	w.trace.begin(w.now, to)
	w.trace.word("offer")
	w.trace.number(int64(m.origin))
	w.trace.number(int64(m.at))
	w.trace.word(string(v.Judgement))
	w.trace.word(string(v.Reason))
	w.trace.end()
	if v.Judgement != judge.Accept {
		n.judged(w.nodes[from], v.Judgement)
		w.drop(string(v.Reason))
		return
	}
	w.figures.delivered.Add(w.now, 1)
	if !m.foul && w.due(m, n) {
		w.figures.delivery.Add(w.now, int64(w.now-m.at))
	}
	w.forward(m, n, from)
	n.remember(m)
}

// Pulls repair what gossip missed.

// repeat pulls from a neighbour at random, soon at first and rarely later.
func (n *peer) repeat(turn int) {
	next := pullEvery*9/10 + time.Duration(n.w.rng.Int64N(int64(pullEvery/5)))
	if turn < len(soon) {
		next = soon[turn]
	}
	n.later(next, func() {
		if near := n.around(); len(near) > 0 {
			n.pull(n.choose(near), false)
		} else {
			n.graft(degree)
		}
		n.narrow()
		if n.sharded == nil || turn > 3 { // where it is to speak it learns by what it hears
			n.begun() // whoever hears nothing speaks all the same
		}
		n.repeat(turn + 1)
	})
}

// choose draws one of those near that answered well.
func (n *peer) choose(near []int32) int {
	all := make([]lease.Principal, len(near))
	for i, to := range near {
		all[i] = n.w.nodes[to].principal()
	}
	good := n.sources.Choose(n.wall(), all)
	return int(near[good[n.w.rng.IntN(len(good))]])
}

// pull asks another for what differs, page by page. The first is what a newcomer
// waits for before it tells of itself.
func (n *peer) pull(to int, first bool) {
	over := false
	done := func() {
		if !over && first {
			n.descend()
		}
		over = true
	}
	n.later(pullTimeout, done)
	n.page(to, n.view.Pull(n.wall(), n.w.nodes[to].principal()), done)
}

func (n *peer) page(to int, pull *gossip.Pull, done func()) {
	w, life := n.w, n.life
	req, more := pull.Next()
	if !more {
		for _, count := range n.sources.Judge(n.wall(), pull) {
			w.figures.omitted.Add(w.now, uint64(count))
		}
		done()
		return
	}
	n.count(kindPulls, pullBytes(req))
	w.send(n.index, to, pullBytes(req), func() {
		o := w.nodes[to]
		if !o.up {
			return
		}
		page, ok := o.answerPull(n, req)
		if !ok {
			return
		}
		o.count(kindPulls, pageBytes(page))
		w.send(to, n.index, pageBytes(page), func() {
			if n.life != life {
				return
			}
			had := pull.News()
			effects, err := pull.Take(n.wall(), page)
			n.heard(effects)
			if err != nil {
				if o.evil == nil {
					w.breach(n, err)
				}
				w.tally("pulls", "that failed")
				done()
				return
			}
			w.note(n.index, "pulled %d of %d, %d named, from %d", pull.News()-had, len(page.Offers), len(page.Names)/gossip.NameSize, to)
			n.caughtUp()
			n.page(to, pull, done)
		})
	})
}

// pullBytes and pageBytes are what a pull and its answer take on the wire.
func pullBytes(req gossip.PullRequest) int {
	size := len(req.Want) + envelope
	if req.Digest != (gossip.Digest{}) {
		size += 9 * gossip.Partitions
	}
	return size
}

func pageBytes(page gossip.PullPage) int {
	size := len(page.Names) + envelope
	for _, b := range page.Offers {
		size += len(b) + 3
	}
	return size
}

// caughtUp notes when a newcomer has 99 of 100 offers of those that there were.
func (n *peer) caughtUp() {
	if n.target > 0 && n.sharded == nil && n.honestKnown()*100 >= min(n.target, viewCap(n.w.scn))*99 {
		n.target = 0
		n.w.figures.latejoin.Add(n.w.now, int64(n.w.now-n.since))
	}
}

// honestKnown is how many nodes there are in the view, hostile ones left out.
func (n *peer) honestKnown() (count int) {
	if n.w.hostile == nil {
		return n.view.Len()
	}
	for _, e := range n.view.Entries() {
		if !n.w.foe(e.Offer.Node) {
			count++
		}
	}
	return count
}
