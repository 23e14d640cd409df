// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"crypto/sha256"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// SearchConfig says what is looked for, and what the seeker has to do it with.
type SearchConfig struct {
	Query offer.Query
	// Reasons: the bucket of every node is read too, so that it can be said what
	// each constraint removed. It is whenever nothing matches.
	Reasons bool
	// From is where in each bucket to begin; the search goes round. Seekers who want
	// but a few begin at places of their own, else all would ask the same nodes.
	From lease.Principal

	At        time.Time // by the wall clock: what holds then is shown
	Self      Key       // this node
	Serves    bool      // it holds buckets itself: it may be among the closest, which look-ups do not say
	PerBucket int       // as holders have it; 0 is MaxEntries
	Open      func([]byte) (*offer.Opened, error)
	Size      func(Bucket) (int, bool) // as heard lately
	Nodes     func() float64           // how many there are about, as [Density] has it; nil: unknown
}

// Search reads the buckets that serve a query best, and where they split their
// parts, level by level. It shows each offer as holders tell of it, again when a
// newer one of its node turns up: [offer.Merge] settles it. It is not safe for
// concurrent use.
type Search struct {
	errand
	cfg     SearchConfig
	matched bool
	newest  map[lease.Principal]uint64
	opened  map[[sha256.Size]byte]opened // verified once, whoever shows it
	closest map[Bucket][]Key             // a bucket that was sampled is not looked up again
	left    int                          // buckets that may still be read
	ignored map[Ignored]uint64
}

type opened struct {
	offer *offer.Opened
	in    []Bucket
	err   error
}

// NewSearch returns one that has asked nobody yet.
func NewSearch(cfg SearchConfig) *Search {
	if cfg.PerBucket <= 0 {
		cfg.PerBucket = MaxEntries
	}
	return &Search{cfg: cfg, newest: map[lease.Principal]uint64{}, opened: map[[sha256.Size]byte]opened{},
		closest: map[Bucket][]Key{}, left: MaxRead, ignored: map[Ignored]uint64{}}
}

// Step advances the search to now, by a clock that nobody sets, and applies one input. The first step begins it;
// after Ended there are no more effects.
func (s *Search) Step(now time.Time, in IndexInput) []IndexEffect { return s.step(now, in, s.plan) }

// Ignored counts what was of no use, by reason. It is not a copy.
func (s *Search) Ignored() map[Ignored]uint64 { return s.ignored }

// plan samples sizes where that can change the choice, and reads what it chooses.
func (s *Search) plan() {
	plans := Plans(s.cfg.Query)
	sample := Sample(plans)
	each(ParallelWalks, len(sample), func(i int, next func()) {
		if _, ok := s.cfg.Size(sample[i]); ok {
			next()
			return
		}
		s.sample(sample[i], func(n int, ok bool) {
			if ok {
				s.emit(Measured{sample[i], n})
			}
			next()
		})
	}, func() {
		buckets := Choose(plans, s.size).Buckets
		s.read(buckets, func() {
			if buckets[0] == Every || s.matched && !s.cfg.Reasons {
				s.end()
				return
			}
			s.read([]Bucket{Every}, s.end)
		})
	})
}

// size is what was heard lately, in this step too.
func (s *Search) size(b Bucket) (int, bool) {
	for _, e := range slices.Backward(s.out) {
		if m, ok := e.(Measured); ok && m.Bucket == b {
			return m.Offers, true
		}
	}
	return s.cfg.Size(b)
}

// sample estimates how many offers a bucket and its parts have, from one part of
// each depth, and passes on what the samples show.
func (s *Search) sample(b Bucket, done func(n int, ok bool)) {
	s.holders(b, func(peers []Key, ok bool) {
		if next, overrun := s.overrun(b, peers); overrun {
			s.sample(next, done)
			return
		}
		few := peers[:min(Quorum(Replicas), len(peers))]
		if !ok || len(few) == 0 {
			done(0, false)
			return
		}
		var sent []int
		left := len(few)
		req := Request{Op: OpList, Buckets: []Key{b.Key()}, Limit: samplePage, After: s.cfg.From}
		for _, p := range few {
			sent = append(sent, s.send(p, req, func(r Response, ok bool) {
				if left--; !ok {
					if left == 0 {
						done(0, false)
					}
					return
				}
				for _, other := range sent { // one answer is a sample
					s.forget(other)
				}
				s.take(b, req.After, r, map[lease.Principal]bool{})
				n, parts := int(r.Size), b.Parts()
				if !r.Split || n == 0 || len(parts) == 0 {
					done(n, true)
					return
				}
				s.sample(parts[0], func(deeper int, ok bool) {
					if ok {
						n += 2 * deeper
					}
					done(n, true)
				})
			}))
		}
	})
}

// holders finds who holds a bucket, once in a search.
func (s *Search) holders(b Bucket, on func(peers []Key, ok bool)) {
	if peers, known := s.closest[b]; known {
		on(peers, true)
		return
	}
	s.route(Route{Key: b.Key()}, func(in Routed) {
		peers := in.Peers[:min(Replicas, len(in.Peers))]
		if !in.Failed {
			s.closest[b] = peers
		}
		on(peers, !in.Failed)
	})
}

// overrun returns a bucket's next seat, if those who hold it have overrun this one.
func (s *Search) overrun(b Bucket, holders []Key) (next Bucket, overrun bool) {
	next, ok := b.next()
	return next, ok && s.cfg.Nodes != nil && Overrun(b.Key(), holders, s.cfg.Nodes())
}

// read reads buckets and, level by level, the parts of those that split.
func (s *Search) read(buckets []Bucket, done func()) {
	sizes := map[Bucket]int{}
	var level func([]Bucket)
	level = func(at []Bucket) {
		if len(at) > s.left {
			s.ignore(Excess, len(at)-s.left)
			at = at[:s.left]
		}
		s.left -= len(at)
		var deeper []Bucket
		each(ParallelWalks, len(at), func(i int, next func()) {
			b := at[i]
			s.bucket(b, func(nodes int, parted bool) {
				if sizes[b.Whole()] += nodes; parted {
					deeper = append(deeper, b.Parts()...)
				}
				next()
			})
		}, func() {
			if len(deeper) > 0 {
				level(deeper)
				return
			}
			for _, b := range buckets {
				if s.cfg.From.IsZero() {
					s.emit(Measured{b, sizes[b]})
				}
			}
			done()
		})
	}
	level(buckets)
}

// Beginning is where a seeker begins, by what is its own: who wants any few of many
// where nobody else does, others at the beginning.
func Beginning(q offer.Query, salt []byte) lease.Principal {
	if q.Limit == 0 || q.Ordered() {
		return lease.Principal{}
	}
	return sha256.Sum256(append([]byte("walk from "), salt...))
}
