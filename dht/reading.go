// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"croft/lease"
	"croft/lease/offer"
)

// Ignored is why something that a holder said was of no use.
type Ignored string

const (
	Unreadable Ignored = "unreadable" // an offer that does not open: forged, or of the wrong size
	AlienOffer Ignored = "alien"      // an offer that does not belong into the bucket
	Lapsed     Ignored = "lapsed"     // an offer that does not hold, not any more or not yet
	Older      Ignored = "older"      // an offer of which a newer one is known
	Disordered Ignored = "disordered" // a page that is not behind its cursor; its holder is read no further
	Unproved   Ignored = "unproved"   // a split that was neither shown nor confirmed
	Silent     Ignored = "silent"     // no answer, or none that the protocol allows
	Excess     Ignored = "excess"     // beyond the bounds of one search: pages, buckets, nodes
)

func (s *Search) ignore(why Ignored, n int) {
	if n > 0 {
		s.ignored[why] += uint64(n)
	}
}

// reading is one bucket as the holders of one of its seats show it.
type reading struct {
	bucket Bucket
	nodes  map[lease.Principal]bool // at any seat
	heard  []Heard
	sent   []int
	over   bool

	further func(next Bucket) // this seat is overrun
}

// bucket reads a bucket at its seat, and at the next ones as soon as it shows that one
// is overrun. done is told how many nodes are in it, and whether to go on to its parts.
func (s *Search) bucket(b Bucket, done func(nodes int, parted bool)) {
	nodes, open, parted := map[lease.Principal]bool{}, 0, false
	var sit func(Bucket)
	sit = func(b Bucket) {
		open++
		s.seat(&reading{bucket: b, nodes: nodes, further: sit}, func(more bool) {
			parted = parted || more
			if open--; open == 0 {
				done(len(nodes), parted)
			}
		})
	}
	sit(b)
}

// seat asks the holders of one seat of a bucket at once. After a quorum of answers the
// rest get Linger. done is told whether to go on to the parts.
func (s *Search) seat(r *reading, done func(parted bool)) {
	if !s.cfg.Serves {
		s.others(r, done)
		return
	}
	s.pages(r, s.cfg.Self, func(own one, ok bool) {
		if ok && (own.split || len(own.nodes) > 0) { // else it may be far from the closest
			r.note(own)
		}
		s.others(r, done)
	})
}

// others asks the holders that a look-up finds.
func (s *Search) others(r *reading, done func(parted bool)) {
	s.holders(r.bucket, func(peers []Key, ok bool) {
		if !ok {
			s.emit(Unread{Bucket: r.bucket})
			done(false)
			return
		}
		if next, overrun := s.overrun(r.bucket, peers); overrun {
			r.further(next)
		}
		mine, left, enough := len(r.heard), len(peers), Quorum(len(peers))
		finish := func() {
			if !r.over {
				r.over = true
				done(s.settle(r, mine))
			}
		}
		if left == 0 {
			finish()
			return
		}
		for _, p := range peers {
			s.pages(r, p, func(shown one, ok bool) {
				left--
				switch {
				case !ok: // dead, slow or wrong: others answer
					s.ignore(Silent, 1)
				default:
					r.note(shown)
					if len(r.heard) == mine+enough {
						s.after(Linger, finish)
					}
				}
				if left == 0 {
					finish()
				}
			})
		}
	})
}

// settle ends the reading of a bucket, and says whether it goes on to the parts.
func (s *Search) settle(r *reading, mine int) (parted bool) {
	for _, number := range r.sent {
		s.forget(number)
	}
	if len(r.heard) == mine && !s.cfg.Serves {
		s.emit(Unread{Bucket: r.bucket, Routed: true})
		return false
	}
	if Parted(r.heard, s.cfg.PerBucket) {
		return true
	}
	for _, h := range r.heard {
		if h.Split {
			s.ignore(Unproved, 1)
		}
	}
	return false
}

// one is what one holder showed of a bucket.
type one struct {
	split bool
	nodes map[lease.Principal]bool
}

func (r *reading) note(shown one) {
	for n := range shown.nodes {
		r.nodes[n] = true
	}
	r.heard = append(r.heard, Heard{Split: shown.split, Shown: len(shown.nodes)})
}

// pages reads one holder's bucket, beginning at From and going round, and passes on
// the offers that open, hold and belong there.
func (s *Search) pages(r *reading, peer Key, done func(shown one, ok bool)) {
	from := s.cfg.From
	shown := one{nodes: map[lease.Principal]bool{}}
	req := Request{Op: OpList, Buckets: []Key{r.bucket.Key()}, Limit: PageEntries, After: from}
	round, read := !from.IsZero(), 0 // round: the pages before From are still to come
	var next func()
	next = func() {
		if read++; read > MaxPages {
			s.ignore(Excess, 1)
			done(shown, true)
			return
		}
		r.sent = append(r.sent, s.send(peer, req, func(resp Response, ok bool) {
			if !ok {
				done(shown, false)
				return
			}
			shown.split = shown.split || resp.Split
			if !s.take(r.bucket, req.After, resp, shown.nodes) {
				done(shown, true)
				return
			}
			switch {
			case resp.After.IsZero() && !round, !from.IsZero() && !round && bytes.Compare(resp.After[:], from[:]) >= 0:
				done(shown, true)
				return
			case resp.After.IsZero():
				round = false
			}
			req.After = resp.After
			next()
		}))
	}
	next()
}

// take passes on what is good of a page, and reports whether its holder goes on
// as it must: nodes ascend behind the cursor, and so does the cursor.
func (s *Search) take(b Bucket, cursor lease.Principal, resp Response, nodes map[lease.Principal]bool) bool {
	after := cursor
	for _, raw := range resp.Offers {
		known := s.open(raw)
		o := known.offer
		if known.err != nil {
			s.ignore(Unreadable, 1)
			continue
		}
		if bytes.Compare(o.Node[:], after[:]) <= 0 {
			s.ignore(Disordered, 1)
			return false
		}
		after = o.Node
		switch {
		case o.Fresh(s.cfg.At) != nil:
			s.ignore(Lapsed, 1)
		case !o.Closed && !b.among(known.in, o.Node): // of one that is closed nothing tells where it was
			s.ignore(AlienOffer, 1)
		default:
			nodes[o.Node] = true
			s.show(o)
		}
	}
	if next := resp.After; !next.IsZero() && (bytes.Compare(next[:], after[:]) < 0 || next == cursor) {
		s.ignore(Disordered, 1)
		return false
	}
	return true
}

// open verifies an offer, or remembers that it did.
func (s *Search) open(b []byte) opened {
	digest := sha256.Sum256(b)
	known, ok := s.opened[digest]
	if !ok {
		if known.offer, known.err = s.cfg.Open(b); known.err == nil {
			known.in = Buckets(&known.offer.Offer)
		}
		if len(s.opened) < MaxFound { // what liars invent needs no memory
			s.opened[digest] = known
		}
	}
	return known
}

// show passes on an offer that is newer than what is known of its node.
func (s *Search) show(o *offer.Opened) {
	seen, known := s.newest[o.Node]
	switch {
	case known && seen > o.Sequence:
		s.ignore(Older, 1)
		return
	case known && seen == o.Sequence:
		return
	case !known && len(s.newest) == MaxFound:
		s.ignore(Excess, 1)
		return
	}
	s.newest[o.Node] = o.Sequence
	s.matched = s.matched || possible(s.cfg.Query, &o.Offer)
	s.emit(Show{o})
}

// possible reports whether an offer matches as far as the offer itself tells:
// round trips are the seeker's to measure.
func possible(q offer.Query, o *offer.Offer) bool {
	return !o.Closed && !slices.ContainsFunc(q.Constraints, func(c offer.Constraint) bool {
		return c.Attr != "rtt" && !c.Holds(o, offer.Measured{})
	})
}
