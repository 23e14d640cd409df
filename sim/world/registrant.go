// SPDX-License-Identifier: Apache-2.0

package world

import (
	"maps"
	"net/netip"
	"slices"

	"croft/dht"
	"croft/lease/offer"
	"croft/sim/scenario"
)

// indexed is a node's part of the index on the DHT: a holder for others, and a
// registrant of its own offer. It is played only where somebody asks the index, as it
// is most of the work of a quiet network.
type indexed struct {
	holder *dht.Holder
	sizes  dht.Sizes
	told   dht.Told // with whom the node's own offer is

	next   *offer.Opened // to register: only the newest matters
	repeat dht.Repeat
	under  *dht.Registration // under way
	errand *errand           // of it
	turn   int               // of timers: an older one does not count
}

// playsIndex reports whether a scenario asks the index.
func playsIndex(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Steps, func(s scenario.Step) bool { _, is := s.Do.(*scenario.Find); return is })
}

// Of the messages of the index: what a request or an answer takes beside offers.
const indexing, keySize = 60, 34

// openIndex gives a daemon that starts its part of the index, with nothing in it.
func (n *peer) openIndex() {
	w := n.w
	if w.tables == nil {
		return
	}
	w.tables.name(n.index, keyspace(peerID(n.principal())), n.address())
	n.patience, n.density = dht.Patience{}, dht.Density{}
	if !playsIndex(w.scn) {
		return // there are tables for what else is looked up
	}
	n.indexed = &indexed{holder: dht.NewHolder(dht.HolderConfig{Open: w.open})}
}

// closeIndex ends it.
func (n *peer) closeIndex() {
	n.hangUp()
	if n.indexed = nil; n.w.tables != nil {
		n.w.in(refreshed, n.w.tables.leave(n.index))
	}
}

// address is where a node is: each site has a network.
func (n *peer) address() netip.Addr {
	site := n.w.profile.Place(n.index).Site
	return netip.AddrFrom4([4]byte{20 + byte(site>>8), byte(site), 0, byte(n.index)})
}

// local applies a request to the node's own holder.
func (n *peer) local(req dht.Request, from netip.Addr) dht.Response {
	answer := n.indexed.holder.Step(n.wall(), req.Input(from))[0].(dht.Answer).Response
	t := n.w.trace
	t.begin(n.w.now, n.index)
	t.word("holder")
	t.number(int64(req.Op))
	t.number(int64(len(req.Buckets)))
	t.number(int64(len(answer.Offers)))
	for _, s := range answer.Status {
		t.number(int64(s))
	}
	t.end()
	return answer
}

// askHolder sends a request to a holder; answer is called once if the node lives, and
// with false if none came in time.
func (n *peer) askHolder(to int32, req dht.Request, answer func(dht.Response, bool)) {
	over := false
	once := func(r dht.Response, ok bool) {
		if !over {
			over = true
			answer(r, ok)
		}
	}
	from := n.address()
	n.request(int(to), indexing+len(req.Offer)+keySize*len(req.Buckets), func(o *peer) (func(), int) {
		var resp dht.Response
		if o.evil != nil {
			resp = o.answerIndex(req)
		} else {
			resp = o.local(req, from)
		}
		size := indexing + 2*len(resp.Status)
		for _, b := range resp.Offers {
			size += len(b) + 4
		}
		return func() { once(resp, true) }, size
	})
	n.later(askTimeout, func() { once(dht.Response{}, false) })
}

// enroll has the index told of a new offer, as soon as it is not told of another.
func (n *peer) enroll(o *offer.Opened) {
	x := n.indexed
	if x.next != nil {
		x.repeat.Newer()
	}
	x.next = o
	if x.under != nil && (o.Closed || x.repeat.Breaks()) { // whoever it asked may hold it
		x.errand.over = true
		_, told := x.under.Result()
		x.told = x.told.With(told)
		x.under = nil
	}
	if x.under == nil {
		n.register(false)
	}
}

// register brings the newest offer to its holders, or takes it from them if it is
// closed, and sets the clock for the next time.
func (n *peer) register(soon bool) {
	x := n.indexed
	told := x.next
	x.turn++
	turn := x.turn
	m := dht.NewRegistration(dht.RegistrationConfig{Offer: told, Self: n.w.tables.ids[n.index], Serves: true, Before: x.told, Soon: soon, Nodes: n.density.Nodes})
	x.under = m
	x.errand = n.errand(m, func(dht.IndexEffect) { // it has but one: the end
		x.under = nil
		reg, with := m.Result()
		n.registered(reg)
		if told.Closed {
			n.later(0, n.end) // it only waited for that
			return
		}
		wait := x.repeat.After(reg)
		if x.told = with; x.next != told { // a newer one came meanwhile
			n.register(false)
			return
		}
		n.later(wait, func() {
			if x.turn == turn {
				n.register(x.repeat.Soon())
			}
		})
	})
	x.errand.step(dht.Tick{})
}

// registered counts what came of a registration.
func (n *peer) registered(reg dht.Registered) {
	w := n.w
	w.tally("registrations", "made")
	for _, s := range slices.Sorted(maps.Keys(reg.Status)) {
		w.figures.Counter("registrations", s.String()).Add(w.now, uint64(reg.Status[s]))
	}
	if reg.Depth > 0 {
		w.tally("registrations", "into parts")
	}
	if reg.Status[dht.Stored]+reg.Status[dht.Removed]+reg.Kept == 0 {
		w.tally("registrations", "that nobody took")
	}
}
