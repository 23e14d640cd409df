// SPDX-License-Identifier: Apache-2.0

package dht

import "time"

// Sizes remembers how large buckets were lately, for Choose. The zero value is
// ready.
type Sizes struct{ known map[Bucket]size }

type size struct {
	offers int
	at     time.Time
}

// Learn takes in a size.
func (s *Sizes) Learn(now time.Time, m Measured) {
	if _, ok := s.known[m.Bucket]; !ok && len(s.known) >= maxSizes || s.known == nil {
		s.known = map[Bucket]size{} // only a memory of guesses
	}
	s.known[m.Bucket] = size{m.Offers, now}
}

// Of returns what a bucket had, if that was heard lately.
func (s *Sizes) Of(now time.Time, b Bucket) (int, bool) {
	known, ok := s.known[b]
	return known.offers, ok && now.Sub(known.at) < sizeAge
}
