// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// A bucket lies at one of its seats among the keys, and those nearest to that hold it.
// Keys cost nothing: whoever grinds a few dozen is all that is nearest to one seat, and
// disjoint paths rightly end there. But nodes lie at random, so that it shows: there are
// more near the seat than a network of this size has near any. Where it is overrun like
// that the bucket is at its next seat too, for registrants and for readers, who need not
// agree: what one of them takes for overrun in vain costs a look-up and some requests.

// next is the seat behind, if there is one.
func (b Bucket) next() (Bucket, bool) {
	b.Seat++
	return b, b.Seat < MaxSeats
}

// first is the same at the first seat.
func (b Bucket) first() Bucket {
	b.Seat = 0
	return b
}

// seatKey is the key of a bucket's or part's later seat, whose first seat's is given.
func seatKey(first Key, seat int) Key {
	return sha256.Sum256(append([]byte("croft/seat/1/"+string(rune('0'+seat))+"/"), first[:]...))
}

// Overrun reports whether the holders of a key, nearest first, are nearer to it than
// chance brings them in a network of so many nodes; not if that is 0, for unknown.
func Overrun(k Key, holders []Key, nodes float64) bool {
	if len(holders) < Replicas || nodes <= 0 {
		return false
	}
	return away(sha256.Sum256(k[:]), holders[Replicas-1]) < overrunBelow*Replicas/nodes
}

// away is how far apart two places are, as a share of all keys.
func away(a, b Key) float64 {
	d := distance(a, b)
	return float64(binary.BigEndian.Uint64(d[:])) / math.MaxUint64
}
