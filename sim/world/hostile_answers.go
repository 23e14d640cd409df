// SPDX-License-Identifier: Apache-2.0

package world

import (
	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
	"croft/node"
	"croft/sim/hostile"
)

// What is sent to a node goes to its daemon, or to the hostile core in its place. What
// that answers is read as what comes from the wire is.

// overhears is a copy of an offer that comes to a hostile node.
func (n *peer) overhears(m *message, from int) {
	if !m.seen.has(n.index) {
		m.seen.mark(n.index)
		n.plot(hostile.Heard{From: n.w.nodes[from].principal(), Topic: hostile.Offers, Bytes: m.bytes})
	}
}

// answerPull returns the page that answers a pull; false: nothing does.
func (n *peer) answerPull(from *peer, req gossip.PullRequest) (gossip.PullPage, bool) {
	if n.evil == nil {
		return n.view.Page(n.wall(), req), true
	}
	e, ok := n.plot(hostile.Pulled{Ref: n.evil.asked(), From: from.principal(), Request: req}).(hostile.Page)
	if !ok {
		return gossip.PullPage{}, false
	}
	b, err := lease.Encode(e.Page)
	if err != nil {
		return gossip.PullPage{}, false
	}
	page, err := gossip.DecodePullPage(b)
	if err != nil {
		return gossip.PullPage{}, false
	}
	copy(page.Offers, e.Page.Offers) // the bytes are shared: each is opened once
	return page, true
}

// answerProbe returns where a node says that it is; false: it says nothing.
func (n *peer) answerProbe(from *peer, suspicion []byte) (offer.Coordinate, bool) {
	if n.evil == nil {
		at, _ := n.live.place.Coordinate()
		return at, true
	}
	e, ok := n.plot(hostile.Probed{Ref: n.evil.asked(), From: from.principal(), Suspicion: suspicion}).(hostile.Echo)
	return e.Coordinate, ok && e.Coordinate.Check() == nil
}

// answerSeek returns whom a node names as nearest to a target.
func (n *peer) answerSeek(target dht.Key) []dht.Contact {
	t := n.w.tables
	if n.evil == nil {
		return t.contacts(t.closest(n.index, target, dht.LookupClosest))
	}
	e, ok := n.plot(hostile.Sought{Ref: n.evil.asked(), Target: target}).(hostile.Closer)
	if !ok {
		return nil
	}
	return e.Peers[:min(len(e.Peers), dht.MaxCloser)]
}

// answerIndex returns what a hostile holder says.
func (n *peer) answerIndex(req dht.Request) dht.Response {
	e, ok := n.plot(hostile.Indexed{Ref: n.evil.asked(), Request: req}).(hostile.Held)
	if !ok || len(e.Response.Offers) > dht.PageEntries {
		return dht.Response{}
	}
	return e.Response
}

// answerWish has a hostile core answer in a channel, or not.
func (n *peer) answerWish(in node.Input, done func(lease.Answer)) {
	e, ok := n.plot(hostile.Wished{Ref: n.evil.asked(), In: in.(lease.Input)}).(hostile.Said)
	if ok {
		done(lease.Answer{Statements: e.Statements, Refusal: e.Refusal})
	}
}

// suggest is a suspicion that comes to a node, be it a daemon or a hostile core.
func (w *World) suggest(m *rumour, to, from int) {
	o := w.nodes[to]
	switch {
	case !o.up || !o.admits(w.nodes[from]) || m.seen[to]:
	case o.evil != nil:
		m.seen[to] = true
		o.plot(hostile.Heard{From: w.nodes[from].principal(), Topic: hostile.Suspicions, Bytes: m.bytes})
	default:
		m.seen[to] = true
		w.believe(m, o, from)
	}
}
