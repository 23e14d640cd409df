// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"slices"

	"croft/lease"
	"croft/lease/offer"
)

// Depth is the number of bits of a part; 0 of a whole bucket.
func (b Bucket) Depth() int { return len(b.Prefix) }

// Toward is the part of a bucket, so many bits deep, that a node belongs to.
// Principals are public keys, so that parts are of one size, and each is a range
// of what LIST goes through in order.
func (b Bucket) Toward(node lease.Principal, depth int) Bucket {
	prefix := make([]byte, depth)
	for i := range prefix {
		prefix[i] = '0' + node[i/8]>>(7-i%8)&1
	}
	b.Prefix = string(prefix)
	return b
}

// Parts are the two halves of a bucket, one bit deeper, at their first seats; none at
// MaxDepth.
func (b Bucket) Parts() []Bucket {
	b = b.first()
	if b.Depth() >= MaxDepth {
		return nil
	}
	low, high := b, b
	low.Prefix += "0"
	high.Prefix += "1"
	return []Bucket{low, high}
}

// Whole is the bucket that a part is of, at its first seat.
func (b Bucket) Whole() Bucket {
	b.Prefix, b.Seat = "", 0
	return b
}

// Holds reports whether an offer belongs into a bucket or part.
func (b Bucket) Holds(o *offer.Offer) bool { return b.among(Buckets(o), o.Node) }

// among reports the same of a node whose whole buckets are known.
func (b Bucket) among(whole []Bucket, node lease.Principal) bool {
	return slices.Contains(whole, b.Whole()) && b.Whole().Toward(node, b.Depth()) == b.first()
}

// Quorum is how many of the holders asked make a bucket read, so that in a small
// net one dead peer is not waited for either.
func Quorum(asked int) int { return min(quorum, (asked+1)/2) }

// Deeper reports whether a registrant goes on to its part of a bucket: somebody was
// full, and so few stored the offer that a reader's quorum might have none of
// them. Who is full without end can therefore do nothing while the others store.
func Deeper(asked, stored, full int) bool {
	return full > 0 && stored <= asked-Quorum(asked)
}

// Heard is what one holder told a reader of a bucket.
type Heard struct {
	Split bool // it has sent registrants to the parts
	Shown int  // offers that it showed and that belong there
}

// Parted reports whether a reader goes on to the parts of a bucket. One holder's
// word is enough if it has shown the load that makes a bucket split; else half of
// them must say so, as they do while the load falls: a liar makes nobody walk.
func Parted(heard []Heard, perBucket int) bool {
	says := 0
	for _, h := range heard {
		if !h.Split {
			continue
		}
		if says++; h.Shown > perBucket/2 {
			return true
		}
	}
	return says > 0 && 2*says >= len(heard)
}

// places are the keys of every bucket and part that an offer may be in.
type places struct {
	node  lease.Principal
	whole []Bucket
	keys  []Key        // of whole
	parts map[Key]bool // made when it is asked for the first time
}

func placesOf(o *offer.Offer) *places {
	whole := Buckets(o)
	return &places{node: o.Node, whole: whole, keys: Keys(whole)}
}

func (p *places) has(k Key) bool {
	if slices.Contains(p.keys, k) || slices.ContainsFunc(p.keys, func(first Key) bool { return seated(k, first) }) {
		return true
	}
	if p.parts == nil {
		p.parts = make(map[Key]bool, len(p.whole)*MaxDepth)
		for _, b := range p.whole {
			for d := 1; d <= MaxDepth; d++ {
				p.parts[b.Toward(p.node, d).Key()] = true
			}
		}
	}
	if p.parts[k] {
		return true
	}
	for first := range p.parts {
		if seated(k, first) {
			return true
		}
	}
	return false
}

// seated reports whether a key is that of a later seat.
func seated(k, first Key) bool {
	for seat := 1; seat < MaxSeats; seat++ {
		if seatKey(first, seat) == k {
			return true
		}
	}
	return false
}
