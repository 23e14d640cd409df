// SPDX-License-Identifier: Apache-2.0

package world

import (
	"net/netip"
	"time"

	"croft/dht"
)

// errand carries out over the wires what a machine of the index wants, as dht/index
// does over libp2p.
type errand struct {
	n        *peer
	m        indexer
	see      func(dht.IndexEffect)
	tickAt   time.Duration // when it will be woken; the latest setting counts
	requests int           // of its look-ups, and to holders
	over     bool
}

// indexer is a dht.Registration or a dht.Search.
type indexer interface {
	Step(now time.Time, in dht.IndexInput) []dht.IndexEffect
	NextWake() (time.Time, bool)
}

// errand returns one that its first step begins; see gets the effects that are not
// for the wires.
func (n *peer) errand(m indexer, see func(dht.IndexEffect)) *errand {
	return &errand{n: n, m: m, see: see, tickAt: -1}
}

func (e *errand) step(in dht.IndexInput) {
	for own := []dht.IndexInput{in}; len(own) > 0 && !e.over; own = own[1:] {
		for _, effect := range e.m.Step(e.n.w.wall(), own[0]) {
			if s, ok := effect.(dht.Send); ok && s.To == e.n.w.tables.ids[e.n.index] {
				own = append(own, dht.Replied{Number: s.Number, Response: e.n.local(s.Request, netip.Addr{})})
				continue
			}
			e.do(effect)
		}
	}
	if at, ok := e.m.NextWake(); ok && !e.over {
		e.wake(e.n.w.now + max(at.Sub(e.n.w.wall()), 0))
	}
}

func (e *errand) wake(when time.Duration) {
	if e.tickAt == when {
		return
	}
	e.tickAt = when
	e.n.later(when-e.n.w.now, func() {
		if e.tickAt == when {
			e.tickAt = -1
			e.step(dht.Tick{})
		}
	})
}

func (e *errand) do(effect dht.IndexEffect) {
	n := e.n
	switch effect := effect.(type) {
	case dht.Route:
		n.holders(effect, func(found dht.Routed, asks int) {
			e.requests += asks
			e.step(found)
		})
	case dht.Send:
		e.requests++
		t := n.w.tables
		n.askHolder(int32(t.machine(int32(t.node(effect.To)))), effect.Request, func(r dht.Response, ok bool) {
			if ok {
				e.step(dht.Replied{Number: effect.Number, Response: r})
			} else {
				e.step(dht.Unheard{Number: effect.Number})
			}
		})
	case dht.Forget: // its answer will be passed over
	default:
		e.see(effect)
	}
}
