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
	Placed map[Key]Placed // who was asked the last time; not changed
}

// Placed is what a peer was asked to keep.
type Placed struct {
	Keys  []Key
	Holds bool // it said that it does, of some of them
}

// Registered is what became of a registration, over all buckets and holders.
type Registered struct {
	Holders int            `json:"holders"` // peers that answered
	Silent  int            `json:"silent"`  // peers that did not
	Depth   int            `json:"depth"`   // of the deepest part
	Status  map[Status]int `json:"status"`  // answers, a bucket at a holder each
}

// Registration places an offer at the peers closest to each of its buckets; where
// too many of them are full, at those closest to its part of the bucket, one bit
// deeper and so on. Those that held an earlier one are told of the newer. An offer
// that is closed is withdrawn from all that were asked to keep it. It is not safe
// for concurrent use.
type Registration struct {
	errand
	cfg RegistrationConfig
	reg Registered
	now map[Key]Placed
}

// NewRegistration returns one that has asked nobody yet.
func NewRegistration(cfg RegistrationConfig) *Registration {
	return &Registration{cfg: cfg, reg: Registered{Status: map[Status]int{}}, now: map[Key]Placed{}}
}

// Step advances the registration to now and applies one input. The first step
// begins it; after Ended there are no more effects.
func (r *Registration) Step(now time.Time, in IndexInput) []IndexEffect {
	return r.step(now, in, func() {
		if r.cfg.Offer.Closed {
			r.withdraw()
			return
		}
		r.place(Buckets(&r.cfg.Offer.Offer), 0)
	})
}

// Result returns what came of it so far, and who was asked to keep the offer.
func (r *Registration) Result() (Registered, map[Key]Placed) { return r.reg, r.now }

// target is a peer, and what it is asked to keep.
type target struct {
	peer Key
	keys []Key
}

// verdict is what the holders of one bucket said.
type verdict struct{ asked, stored, full int }

func (r *Registration) request(keys []Key) Request {
	if r.cfg.Offer.Closed {
		return Request{Op: OpWithdraw, Offer: r.cfg.Offer.Bytes}
	}
	return Request{Op: OpRegister, Offer: r.cfg.Offer.Bytes, Buckets: keys}
}

// place does one level: whole buckets, then parts.
func (r *Registration) place(level []Bucket, depth int) {
	if len(level) == 0 {
		r.retire()
		return
	}
	r.reg.Depth = depth
	keys := Keys(level)
	if r.cfg.Serves {
		r.send(r.cfg.Self, r.request(keys), func(Response, bool) {})
	}
	found := make([][]Key, len(keys))
	each(ParallelWalks, len(keys), func(i int, next func()) {
		r.route(keys[i], func(peers []Key, _ bool) {
			found[i] = peers[:min(Replicas, len(peers))]
			next()
		})
	}, func() {
		var targets []target
		index := map[Key]int{}
		for i, peers := range found {
			for _, p := range peers {
				at, known := index[p]
				if !known {
					at, targets = len(targets), append(targets, target{peer: p})
					index[p] = at
				}
				targets[at].keys = append(targets[at].keys, keys[i])
			}
		}
		verdicts := map[Key]verdict{}
		r.tell(targets, verdicts, func() {
			var deeper []Bucket
			for i, b := range level {
				if v := verdicts[keys[i]]; Deeper(v.asked, v.stored, v.full) && depth < MaxDepth {
					deeper = append(deeper, b.Whole().Toward(r.cfg.Offer.Node, depth+1))
				}
			}
			r.place(deeper, depth+1)
		})
	})
}

// tell brings each target its request. Where verdicts are wanted the targets count
// as those that were asked to keep the offer.
func (r *Registration) tell(targets []target, verdicts map[Key]verdict, done func()) {
	each(ParallelAsks, len(targets), func(i int, next func()) {
		t := targets[i]
		r.send(t.peer, r.request(t.keys), func(resp Response, ok bool) {
			if ok {
				r.reg.Holders++
			} else {
				r.reg.Silent++
			}
			for _, s := range resp.Status {
				r.reg.Status[s]++
			}
			if verdicts != nil {
				r.judge(t, resp, verdicts)
			}
			next()
		})
	}, done)
}

func (r *Registration) judge(t target, resp Response, verdicts map[Key]verdict) {
	p := r.now[t.peer]
	p.Keys = append(p.Keys, t.keys...)
	for i, k := range t.keys {
		v := verdicts[k]
		v.asked++
		if i < len(resp.Status) {
			switch resp.Status[i] {
			case Stored:
				v.stored++
				p.Holds = true
			case Full:
				v.full++
			}
		}
		verdicts[k] = v
	}
	r.now[t.peer] = p
}

// retire tells those that held the offer and are not among the closest any more of
// the newer one, so that it is not in the wrong class there, and forgets them:
// what they have runs out.
func (r *Registration) retire() {
	var old []target
	for _, peer := range r.placed() {
		p := r.cfg.Placed[peer]
		if _, still := r.now[peer]; still || !p.Holds {
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
	for _, peer := range r.placed() {
		all = append(all, target{peer: peer})
	}
	r.tell(all, nil, r.end)
}

// placed are the peers that were asked the last time, in order.
func (r *Registration) placed() []Key {
	return slices.SortedFunc(maps.Keys(r.cfg.Placed), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
}
