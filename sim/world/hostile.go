// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"slices"
	"time"

	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
	"croft/node"
	"croft/sim/hostile"
	"croft/sim/scenario"
)

// hostility is what there is where some nodes are hostile: they, what they send, and
// what is found out about them. Figures are of the honest alone.
type hostility struct {
	gang    *hostile.Gang
	was     map[lease.Principal]hostile.Kind // who is, or was for a time
	turns   map[hostile.Kind]int             // how many of each there were
	sent    map[*byte]*message               // offers, by their bytes, while copies are recognised
	rumours map[*byte]*rumour
	told    []*rumour // oldest first
	caught  map[int]bool
	proved  map[lease.Principal]bool
	claims  map[lease.ID]lease.Statement // that hostile nodes draw on
}

// intruder is a hostile core in the place of a node's daemon, whose machines stand
// still meanwhile.
type intruder struct {
	core  *hostile.Core
	kind  hostile.Kind
	links []int32 // as it knows them
	refs  hostile.Ref
}

// fights reports whether a scenario has hostile nodes.
func fights(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Steps, func(s scenario.Step) bool { _, is := s.Do.(*scenario.Hostile); return is })
}

func newHostility(seed uint64) *hostility {
	return &hostility{gang: hostile.NewGang(seed), was: map[lease.Principal]hostile.Kind{}, turns: map[hostile.Kind]int{}, sent: map[*byte]*message{}, rumours: map[*byte]*rumour{}, caught: map[int]bool{}, proved: map[lease.Principal]bool{}, claims: map[lease.ID]lease.Statement{}}
}

// foe reports whether a principal is hostile, or was made up.
func (w *World) foe(p lease.Principal) bool { return w.hostile != nil && w.hostile.gang.Has(p) }

// corrupt has hostile cores take the places of nodes.
func (w *World) corrupt(do *scenario.Hostile) {
	chosen := w.choose(do.Who, w.present)
	for i, n := range chosen {
		kind := hostile.Kind(do.Kind)
		if do.Kind == scenario.Mixed {
			kind = hostile.Kinds[i%len(hostile.Kinds)]
		}
		n.corrupt(kind)
		if do.For > 0 {
			n.later(do.For, n.repent)
		}
	}
	for _, n := range chosen {
		if n.evil.kind == hostile.OverIssue {
			w.entrust(n)
		}
	}
}

// corrupt begins a hostile core with what the node knew. The daemon's machines get
// nothing any more.
func (n *peer) corrupt(kind hostile.Kind) {
	w := n.w
	w.note(n.index, "turns %s", kind)
	n.life++
	if n.ready {
		w.told--
	}
	n.ready = false
	w.figures.deaths.Left(w.now, n.index)
	w.hostile.was[n.principal()] = kind
	var known []*offer.Opened
	for _, e := range n.view.Entries() {
		known = append(known, e.Offer)
	}
	c := hostile.Config{Kind: kind, Key: n.key, Seed: w.scn.Seed<<20 + uint64(n.index), Turn: w.hostile.turns[kind], Gang: w.hostile.gang, Known: known, Open: w.open,
		Contact: w.contact, Place: func(p lease.Principal) dht.Key { return keyspace(peerID(p)) }, Address: n.address()}
	if n.latest != nil {
		c.Offer = n.latest.Offer
	}
	if w.tables != nil {
		c.Closest = func(target dht.Key) []dht.Contact {
			return w.tables.contacts(w.tables.closest(n.index, target, dht.LookupClosest))
		}
	}
	w.hostile.turns[kind]++
	n.evil = &intruder{core: hostile.New(c), kind: kind}
	n.conspire()
}

// repent has the honest daemon come back, from its disk.
func (n *peer) repent() {
	n.evil = nil
	n.w.hostile.gang.Leave(n.principal())
	n.end()
	n.join()
}

// entrust has the owners of two honest nodes give a hostile one a ticket each.
func (w *World) entrust(n *peer) {
	for range 2 {
		i := w.anyUp()
		if i < 0 {
			return
		}
		o := w.nodes[i]
		now := o.ledgerTime().Unix()
		o.ask(func(ref uint64) node.Input { return w.trust(ref, n, now) }, func(a lease.Answer) {
			if a.Refusal == nil {
				n.later(0, func() { n.plot(hostile.Given{Ticket: hostile.Ticket{Node: o.principal(), Chain: a.Statements}}) })
			}
		})
	}
}

func (w *World) trust(ref uint64, n *peer, now int64) lease.Issue {
	return lease.Issue{Ref: ref, Holder: n.principal(), RSet: lease.RSet{lease.CPU: 50, lease.Memory: 32 << 20, lease.Pids: 16},
		Term: lease.Term{From: now, Until: now + 3600}, Degree: lease.MinDegree, Request: lease.Request{1, byte(n.index), byte(n.index >> 8)}}
}

// contact is where a node is to be found by others.
func (w *World) contact(p lease.Principal) (dht.Contact, bool) {
	i, ok := w.known[p]
	if !ok || w.tables == nil {
		return dht.Contact{}, false
	}
	return w.tables.contacts([]int32{int32(i)})[0], true
}

// conspire wakes the core when it has a turn.
func (n *peer) conspire() {
	at, _ := n.evil.core.NextWake()
	n.later(max(at.Sub(n.wall()), time.Microsecond), func() {
		n.plot(hostile.Tick{})
		n.conspire()
	})
}

// plot gives the core an input and sends what it wants sent. A request that it answers
// has its answer returned.
func (n *peer) plot(in hostile.Input) (answer hostile.Effect) {
	x, w := n.evil, n.w
	var effects []hostile.Effect
	for _, i := range x.links {
		if !slices.Contains(n.neighbour, i) {
			effects = append(effects, x.core.Step(n.wall(), hostile.Parted{Peer: w.nodes[i].principal()})...)
		}
	}
	for _, i := range n.neighbour {
		if !slices.Contains(x.links, i) {
			effects = append(effects, x.core.Step(n.wall(), hostile.Linked{Peer: w.nodes[i].principal()})...)
		}
	}
	x.links = append(x.links[:0], n.neighbour...)
	effects = append(effects, x.core.Step(n.wall(), in)...)
	w.trace.begin(w.now, n.index)
	w.trace.word("plots")
	w.trace.number(int64(len(effects)))
	w.trace.end()
	for _, e := range effects {
		switch e := e.(type) {
		case hostile.Page, hostile.Echo, hostile.Closer, hostile.Held, hostile.Said:
			answer = e
		default:
			n.commit(e)
		}
	}
	return answer
}

// asked is a new reference for a request to the core.
func (x *intruder) asked() hostile.Ref {
	x.refs++
	return x.refs
}

// commit does what the core wants done on the wire.
func (n *peer) commit(e hostile.Effect) {
	w := n.w
	switch e := e.(type) {
	case hostile.Gossip:
		if to, ok := w.known[e.To]; ok && e.Topic == hostile.Offers {
			w.smuggle(n, to, e.Bytes)
		} else if ok {
			w.whisper(n, to, e.Bytes)
		}
	case hostile.Pull:
		if to, ok := w.known[e.To]; ok {
			n.drain(to, e.Request)
		}
	case hostile.Register:
		if to, ok := w.known[e.To]; ok && w.tables != nil {
			n.askHolder(int32(to), e.Request, func(r dht.Response, _ bool) {
				for _, s := range r.Status {
					w.tally("registrations of the hostile", s.String())
				}
			})
		}
	case hostile.Tell:
		if to, ok := w.known[e.To]; ok {
			n.speak(to, e)
		}
	case hostile.Link:
		if to, ok := w.known[e.To]; ok {
			n.cling(w.nodes[to])
		}
	case hostile.Alias:
		if w.tables != nil {
			w.tables.alias(e.ID, n.index)
		}
	}
}

// smuggle sends an offer, be it well-formed or not, new or old.
func (w *World) smuggle(n *peer, to int, b []byte) {
	h := w.hostile
	m := h.sent[&b[0]]
	if m == nil || m.seen == nil {
		m = &message{origin: n.index, at: w.now, bytes: b, seen: newBits(len(w.nodes)), foul: true}
		h.sent[&b[0]] = m
		w.messages = append(w.messages, m)
		w.retire(seenFor)
	}
	w.figures.Counter("hostile", "messages").Add(w.now, 1)
	w.carry(m, n.index, to)
}

// whisper sends a suspicion.
func (w *World) whisper(n *peer, to int, b []byte) {
	h := w.hostile
	m := h.rumours[&b[0]]
	if m == nil {
		m = &rumour{at: w.now, bytes: b, seen: make([]bool, len(w.nodes))}
		h.rumours[&b[0]] = m
		h.told = append(h.told, m)
	}
	for len(h.told) > 0 && w.now-h.told[0].at >= seenFor {
		delete(h.rumours, &h.told[0].bytes[0])
		h.told = h.told[1:]
	}
	w.figures.Counter("hostile", "messages").Add(w.now, 1)
	w.arrive(n.index, to, func() { w.suggest(m, to, n.index) })
}

// drain pulls from a node and throws away what comes.
func (n *peer) drain(to int, req gossip.PullRequest) {
	w := n.w
	w.figures.Counter("hostile", "pulls").Add(w.now, 1)
	w.arrive(n.index, to, func() {
		o := w.nodes[to]
		if !o.up || o.evil != nil {
			return
		}
		page := o.view.Page(o.wall(), req)
		size := pageBytes(page)
		if !o.intake.Answer(o.wall(), gossip.Views, n.principal(), dht.Network(n.address()), size) {
			w.drop("serve:allowance")
			return
		}
		o.count(kindPulls, size)
		w.send(to, n.index, size, func() {})
	})
}

// speak says something in a channel to a node's core.
func (n *peer) speak(to int, e hostile.Tell) {
	w := n.w
	w.in(4*w.profile.OneWay(n.index, to), func() { // the connection, and the channel in it
		w.arrive(n.index, to, func() {
			o := w.nodes[to]
			if !o.up || o.evil != nil {
				return
			}
			o.ask(func(ref uint64) node.Input {
				in := e.In(ref)
				if wish, ok := in.(lease.Wish); ok {
					w.learn(wish.Chain)
				}
				return in
			}, func(a lease.Answer) {
				what := "granted"
				if a.Refusal != nil {
					what = "refused " + a.Refusal.Code()
				}
				w.tally("wishes of the hostile", what)
				w.send(to, n.index, answering+size(a.Statements), func() {
					if n.evil != nil {
						n.plot(hostile.Answered{Ref: e.Ref, Answer: a})
					}
				})
			})
		})
	})
}

// learn and claim are how oracles come to know of claims that tickets were made of:
// a node keeps none that it was only shown.
func (w *World) learn(chain [][]byte) {
	for _, b := range chain {
		if o, err := lease.Open(b); err == nil {
			w.hostile.claims[o.ID] = o.Statement
		}
	}
}

func (w *World) claim(id lease.ID) lease.Statement {
	if w.hostile == nil {
		return nil
	}
	return w.hostile.claims[id]
}

// cling links to another, if that has room and nothing against it.
func (n *peer) cling(o *peer) {
	if o != n && o.up && o.evil == nil && o.room() && !n.w.cut(n.index, o.index) && !n.w.estranged(n, o) && !slices.Contains(o.neighbour, int32(n.index)) {
		n.neighbour = append(n.neighbour, int32(o.index))
		o.neighbour = append(o.neighbour, int32(n.index))
	}
}

// proven notes whom a proof is against, which must be somebody who broke a promise.
func (w *World) proven(n *peer, proof []byte) {
	w.figures.proofs.Add(w.now, 1)
	_, v, err := lease.VerifyProof(proof)
	if err != nil {
		w.breach(n, fmt.Errorf("a proof that proves nothing: %w", err))
		return
	}
	if w.hostile == nil || w.hostile.was[v.Principal] != hostile.OverIssue {
		w.breach(n, fmt.Errorf("a proof against %s, who kept its word", v.Principal.Short()))
		return
	}
	w.hostile.proved[v.Principal] = true
}

// equivocated notes that a node was caught.
func (w *World) equivocated(n *peer, by lease.Principal) {
	i, known := w.known[by]
	if known && (w.hostile == nil || w.hostile.was[by] != hostile.Equivocate) {
		w.breach(n, fmt.Errorf("node %d is said to have equivocated, and has not", i))
	} else if known {
		w.hostile.caught[i] = true
	}
}
