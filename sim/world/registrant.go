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

// indexed is a node's part of the index on the DHT, by the rules of dht/index: a
// holder for others, and a registrant of its own offer. It is played only where
// somebody asks the index, as it is most of the work of a quiet network.
type indexed struct {
	holder *dht.Holder
	sizes  map[dht.Bucket]int // as last heard, for the planner
	placed map[int32][]dht.Key

	next  *offer.Opened // to register: only the newest matters
	tries int
	busy  bool
	turn  int // of timers: an older one does not count
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
	n.patience = dht.Patience{}
	n.indexed = &indexed{holder: dht.NewHolder(dht.HolderConfig{Open: w.open}), sizes: map[dht.Bucket]int{}, placed: map[int32][]dht.Key{}}
}

// closeIndex ends it.
func (n *peer) closeIndex() {
	n.hangUp()
	if n.indexed != nil {
		n.indexed = nil
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
	if o.Closed {
		n.withdraw(o)
		return
	}
	if x.tries >= len(again) && x.next != nil { // settled: a refresh needs no early repeats
		x.tries = len(again) - 1
	}
	x.next = o
	if !x.busy {
		n.register()
	}
}

// register places the newest offer with the holders of its buckets, and sets the
// clock for the next time.
func (n *peer) register() {
	x := n.indexed
	told := x.next
	x.busy = true
	x.turn++
	keys := dht.Keys(dht.Buckets(&told.Offer))
	n.local(dht.Request{Op: dht.OpRegister, Offer: told.Bytes, Buckets: keys}, netip.Addr{})
	to := map[int32][]dht.Key{}
	n.each(parallelWalks, len(keys), func(i int, next func()) {
		n.walk(keyspace(keys[i][:]), func(nearest []int32) {
			for _, p := range nearest[:min(replicas, len(nearest))] {
				to[p] = append(to[p], keys[i])
			}
			next()
		})
	}, func() {
		for p, old := range x.placed {
			if to[p] == nil {
				to[p] = old
			}
		}
		n.tell(to, told)
	})
}

// registered sets the clock for the next time.
func (n *peer) registered(told *offer.Opened, stored int) {
	x, w := n.indexed, n.w
	w.tally("registrations", "made")
	x.busy = false
	if x.next != told { // a newer one came meanwhile
		if !x.next.Closed {
			n.register()
		}
		return
	}
	if stored == 0 {
		w.tally("registrations", "that nobody took")
		x.tries = 0
	}
	wait := again[min(x.tries, len(again)-1)]
	x.tries++
	turn := x.turn
	n.later(wait, func() {
		if x.turn == turn && !x.busy {
			n.register()
		}
	})
}

// tell sends each holder the offer, and notes who holds it now.
func (n *peer) tell(to map[int32][]dht.Key, told *offer.Opened) {
	x, holders, stored := n.indexed, slices.Sorted(maps.Keys(to)), 0
	n.each(parallelAsks, len(holders), func(i int, next func()) {
		p := holders[i]
		n.askHolder(p, dht.Request{Op: dht.OpRegister, Offer: told.Bytes, Buckets: to[p]}, func(r dht.Response, ok bool) {
			delete(x.placed, p)
			if ok && slices.Contains(r.Status, dht.Stored) {
				x.placed[p] = to[p]
				stored++
			}
			for _, s := range r.Status {
				n.w.tally("registrations", s.String())
			}
			next()
		})
	}, func() { n.registered(told, stored) })
}

// withdraw tells the holders of the node's offer that it is closed.
func (n *peer) withdraw(closed *offer.Opened) {
	x := n.indexed
	x.turn++
	x.next = closed
	n.local(dht.Request{Op: dht.OpWithdraw, Offer: closed.Bytes}, netip.Addr{})
	for _, p := range slices.Sorted(maps.Keys(x.placed)) {
		n.askHolder(p, dht.Request{Op: dht.OpWithdraw, Offer: closed.Bytes}, func(dht.Response, bool) {})
	}
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
