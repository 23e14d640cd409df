// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"croft/lease/offer"
)

// RegistrationConfig is fixed for the life of a Registration.
type RegistrationConfig struct {
	Offer  *offer.Opened
	Self   Key            // this node
	Serves bool           // it holds buckets itself
	Before Told           // the last time; not changed
	Soon   bool           // that was for this very offer, and not long ago: who holds it is not asked again
	Nodes  func() float64 // how many there are about, as [Density] has it; nil: unknown
}

// Told is with whom an offer is after a registration.
type Told struct {
	Asked map[Key]Placed // by peer
	Homes map[Key][]Key  // the peers closest to each bucket
	Anew  time.Time      // when all look-ups last began with nobody
}

// With is whom either told, the later of the two where both did. Both stay as they are.
func (t Told) With(later Told) Told {
	all := Told{maps.Clone(t.Asked), maps.Clone(t.Homes), t.Anew}
	if all.Asked == nil {
		return later
	}
	maps.Copy(all.Asked, later.Asked)
	maps.Copy(all.Homes, later.Homes)
	return all
}

// Peers are all that were asked or found: a registration that was broken off has not
// asked everybody that it found.
func (t Told) Peers() map[Key]bool {
	all := map[Key]bool{}
	for p := range t.Asked {
		all[p] = true
	}
	for _, peers := range t.Homes {
		for _, p := range peers {
			all[p] = true
		}
	}
	return all
}

// homes are the peers closest to a bucket, if it is worth to begin with them: there
// were as many as hold one, and all of them answered. Where one was silent another takes
// its place, which is farther and of which no other need tell.
func (t Told) homes(k Key) []Key {
	peers := t.Homes[k]
	if len(peers) < Replicas || slices.ContainsFunc(peers, func(p Key) bool { return t.Asked[p].Silent }) {
		return nil
	}
	return peers
}

// Placed is what a peer was asked to keep, and what of that it said that it keeps.
type Placed struct {
	Keys, Stored []Key
	Silent       bool // it did not answer
}

// all reports whether a peer keeps the offer wherever it should.
func (p Placed) all(keys []Key) bool {
	return !slices.ContainsFunc(keys, func(k Key) bool { return !slices.Contains(p.Stored, k) })
}

// Registered is what became of a registration, over all buckets and holders.
type Registered struct {
	Holders int            `json:"holders"` // peers that answered
	Silent  int            `json:"silent"`  // peers that did not
	Kept    int            `json:"kept"`    // peers that were not asked again: they hold it
	Depth   int            `json:"depth"`   // of the deepest part
	Seats   int            `json:"seats"`   // later ones, of buckets and parts that are overrun
	Few     bool           `json:"few"`     // of a bucket fewer peers are known or sure than hold one, or fewer answered than a quorum
	Status  map[Status]int `json:"status"`  // answers, a bucket at a holder each
}

// Registration places an offer at the peers closest to each of its buckets; where they
// are too near, at the next seat too, and where too many of them are full, at those
// closest to its part of the bucket, one bit deeper and so on. Those that held an earlier one are told of the newer. Looking
// up begins with whom it found the last time, but for once in AnewEvery. An offer that
// is closed is withdrawn from all that were asked to keep it. It is not safe
// for concurrent use.
type Registration struct {
	errand
	cfg    RegistrationConfig
	reg    Registered
	now    Told
	anew   bool
	placed map[Bucket]bool // or about to be
}

// NewRegistration returns one that has asked nobody yet.
func NewRegistration(cfg RegistrationConfig) *Registration {
	return &Registration{cfg: cfg, reg: Registered{Status: map[Status]int{}}, now: Told{map[Key]Placed{}, map[Key][]Key{}, cfg.Before.Anew}, placed: map[Bucket]bool{}}
}

// Step advances the registration to now and applies one input. The first step
// begins it; after Ended there are no more effects.
func (r *Registration) Step(now time.Time, in IndexInput) []IndexEffect {
	return r.step(now, in, func() {
		if r.cfg.Offer.Closed {
			r.withdraw()
			return
		}
		if r.anew = now.Sub(r.cfg.Before.Anew).Abs() >= AnewEvery; r.anew {
			r.now.Anew = now
		}
		r.place(Buckets(&r.cfg.Offer.Offer))
	})
}

// Result returns what came of it so far, and who was told.
func (r *Registration) Result() (Registered, Told) { return r.reg, r.now }

// target is a peer, and what it is asked to keep.
type target struct {
	peer Key
	keys []Key
}

// targets turns who is to hold each bucket round: what each peer is to keep.
func targets(keys []Key, found [][]Key) (all []target) {
	index := map[Key]int{}
	for i, peers := range found {
		for _, p := range peers {
			at, known := index[p]
			if !known {
				at, all = len(all), append(all, target{peer: p})
				index[p] = at
			}
			all[at].keys = append(all[at].keys, keys[i])
		}
	}
	return all
}

// verdict is what the holders of one bucket said.
type verdict struct{ asked, answered, stored, full int }

func (r *Registration) request(keys []Key) Request {
	if r.cfg.Offer.Closed {
		return Request{Op: OpWithdraw, Offer: r.cfg.Offer.Bytes}
	}
	return Request{Op: OpRegister, Offer: r.cfg.Offer.Bytes, Buckets: keys}
}

// place does one level: whole buckets, then what further seats and parts these need.
func (r *Registration) place(level []Bucket) {
	if len(level) == 0 {
		r.retire()
		return
	}
	keys := Keys(level)
	if r.cfg.Serves {
		r.send(r.cfg.Self, r.request(keys), func(Response, bool) {})
	}
	found := make([][]Key, len(keys))
	each(ParallelWalks, len(keys), func(i int, next func()) {
		r.route(Route{keys[i], true, r.begin(keys[i])}, func(in Routed) {
			found[i] = in.Peers[:min(Replicas, len(in.Peers))]
			r.reg.Few = r.reg.Few || in.Cut || len(in.Peers) < Replicas
			r.settle(keys[i], in)
			next()
		})
	}, func() {
		verdicts := map[Key]verdict{}
		r.ask(targets(keys, found), verdicts, func() {
			r.replace(keys, found, verdicts, func() {
				var further []Bucket
				for i, b := range level {
					v := verdicts[keys[i]]
					r.reg.Few = r.reg.Few || v.answered < Quorum(v.asked)
					if next, ok := b.next(); ok && r.cfg.Nodes != nil && Overrun(keys[i], found[i], r.cfg.Nodes()) {
						r.reg.Seats++
						further = append(further, next)
					}
					if Deeper(v.asked, v.stored, v.full) && b.Depth() < MaxDepth {
						r.reg.Depth = max(r.reg.Depth, b.Depth()+1)
						further = append(further, b.Whole().Toward(r.cfg.Offer.Node, b.Depth()+1))
					}
				}
				r.place(slices.DeleteFunc(further, func(b Bucket) bool { // two seats may send to the same part
					known := r.placed[b]
					r.placed[b] = true
					return known
				}))
			})
		})
	})
}

// settle remembers whom a look-up found, as those to begin with the next time: not what
// is partly a guess.
func (r *Registration) settle(k Key, in Routed) {
	delete(r.now.Homes, k)
	if !in.Failed && !in.Cut {
		r.now.Homes[k] = in.Peers[:min(Replicas, len(in.Peers))]
	}
}

// begin is with whom the look-up of a bucket begins.
func (r *Registration) begin(k Key) []Key {
	if r.anew {
		return nil
	}
	return r.cfg.Before.homes(k)
}

// ask tells those that are to hold the offer, but soon after the last time not those
// that held it then, once anybody has answered: if nobody does, it is this node that is
// cut off, or they are gone.
func (r *Registration) ask(targets []target, verdicts map[Key]verdict, done func()) {
	var now, held []target
	for _, t := range targets {
		if r.cfg.Soon && r.cfg.Before.Asked[t.peer].all(t.keys) {
			held = append(held, t)
		} else {
			now = append(now, t)
		}
	}
	if len(now) == 0 && len(held) > 0 && r.reg.Holders == 0 {
		now, held = held[:1], held[1:]
	}
	r.tell(now, verdicts, func() {
		if r.reg.Holders == 0 {
			r.tell(held, verdicts, done)
			return
		}
		for _, t := range held {
			r.reg.Kept++
			r.judge(t, Response{Status: slices.Repeat([]Status{Stored}, len(t.keys))}, false, verdicts)
		}
		done()
	})
}

// tell brings each target its request. Where verdicts are wanted the targets count
// as those that were asked to keep the offer.
func (r *Registration) tell(targets []target, verdicts map[Key]verdict, done func()) {
	each(ParallelAsks, len(targets), func(i int, next func()) {
		t := targets[i]
		heard := func(resp Response, ok bool) {
			if ok {
				r.reg.Holders++
			} else {
				r.reg.Silent++
			}
			for _, s := range resp.Status {
				r.reg.Status[s]++
			}
			if verdicts != nil {
				r.judge(t, resp, !ok, verdicts)
			}
			next()
		}
		r.send(t.peer, r.request(t.keys), heard)
	}, done)
}

func (r *Registration) judge(t target, resp Response, silent bool, verdicts map[Key]verdict) {
	p := r.now.Asked[t.peer]
	p.Keys = append(p.Keys, t.keys...)
	p.Silent = p.Silent || silent
	for i, k := range t.keys {
		v := verdicts[k]
		v.asked++
		if i < len(resp.Status) {
			v.answered++
			switch resp.Status[i] {
			case Stored:
				v.stored++
				p.Stored = append(p.Stored, k)
			case Full:
				v.full++
			}
		}
		verdicts[k] = v
	}
	r.now.Asked[t.peer] = p
}

// retire tells those that held the offer and are not among the closest any more of
// the newer one, so that it is not in the wrong class there, and forgets them:
// what they have runs out.
func (r *Registration) retire() {
	var old []target
	for _, peer := range r.before() {
		p := r.cfg.Before.Asked[peer]
		if _, still := r.now.Asked[peer]; still || len(p.Stored) == 0 {
			continue
		}
		for keys := range slices.Chunk(p.Keys, MaxBuckets) {
			old = append(old, target{peer, keys})
		}
	}
	r.tell(old, nil, r.end)
}

// withdraw tells everybody who may hold the offer: also those who did not say so.
func (r *Registration) withdraw() {
	if r.cfg.Serves {
		r.send(r.cfg.Self, r.request(nil), func(Response, bool) {})
	}
	var all []target
	for _, peer := range r.before() {
		all = append(all, target{peer: peer})
	}
	r.tell(all, nil, r.end)
}

// before are the peers that were asked the last time, in order.
func (r *Registration) before() []Key {
	return slices.SortedFunc(maps.Keys(r.cfg.Before.Asked), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}
