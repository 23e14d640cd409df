// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/dht"
)

// walk is one look-up: dht.Lookup, whose requests go over the wires to peers that
// answer from the model of their tables. Whom it finds are nodes, nearest first.
type walk struct {
	n      *peer
	target dht.Key
	lookup *dht.Lookup
	tickAt time.Duration // when it will be woken; the latest setting counts
	ids    []dht.Key     // of whom it found: a node may have several
	cut    bool
	done   func(nearest []int32)
}

// Of its messages: FIND_NODE with a key; an answer with so many peers and their
// addresses.
const findNode, nodeInfo = 60, 90

// walk begins a look-up of so many; done is called once, if the node lives until then.
func (n *peer) walk(target dht.Key, closest int, done func(nearest []int32)) *walk {
	return n.walkAs(dht.LookupConfig{Target: target, Closest: closest}, done)
}

// walkAs is walk, in any of the ways that there are.
func (n *peer) walkAs(cfg dht.LookupConfig, done func(nearest []int32)) *walk {
	t := n.w.tables
	cfg.Self, cfg.Known = t.ids[n.index], t.contacts(t.closest(n.index, cfg.Target, dht.LookupClosest))
	cfg.Patience, cfg.Density = &n.patience, &n.density
	k := &walk{n: n, target: cfg.Target, done: done, lookup: dht.NewLookup(cfg)}
	n.later(0, func() { k.step(dht.Tick{}) })
	return k
}

func (k *walk) step(in dht.LookupInput) {
	n, w := k.n, k.n.w
	for _, e := range k.lookup.Step(w.wall(), in) {
		switch e := e.(type) {
		case dht.Ask:
			k.ask(e.Peer)
		case dht.Found:
			k.found(e)
			return
		}
	}
	at, ok := k.lookup.NextWake()
	if !ok {
		return
	}
	when := w.now + max(at.Sub(w.wall()), 0)
	if k.tickAt == when {
		return
	}
	k.tickAt = when
	n.later(when-w.now, func() {
		if k.tickAt == when {
			k.step(dht.Tick{})
		}
	})
}

func (k *walk) ask(whom dht.Key) {
	n, t := k.n, k.n.w.tables
	i, ok := t.known[spotOf(whom)]
	if !ok {
		return // it was made up: nobody answers
	}
	n.request(t.machine(i), findNode, func(o *peer) (func(), int) {
		known := o.answerSeek(k.target)
		return func() { k.step(dht.Closer{From: whom, Peers: known}) }, 40 + nodeInfo*len(known)
	})
}

// found ends the look-up.
func (k *walk) found(e dht.Found) {
	w := k.n.w
	k.tickAt, k.ids, k.cut = -1, e.Peers, e.Cut
	stats := k.lookup.Stats()
	w.figures.walk(stats)
	if e.Cut && !k.n.hole {
		w.tally("look-ups", "cut off")
	}
	w.trace.begin(w.now, k.n.index)
	w.trace.word("walk")
	w.trace.number(int64(stats.Asked))
	w.trace.number(int64(stats.PassedOver))
	nearest := make([]int32, len(e.Peers))
	for i, p := range e.Peers {
		nearest[i] = int32(w.tables.machine(int32(w.tables.node(p))))
		w.trace.number(int64(nearest[i]))
	}
	w.trace.end()
	k.done(nearest)
}

func (k *walk) asks() int { return int(k.lookup.Stats().Asked) }
