// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"slices"
	"time"

	"croft/lease"
)

// A shelf is one bucket at one holder. When it is full it splits: who is not in it
// is sent one bit deeper until half have gone, so that it does not split and heal
// by turns. Readers are sent after them for as long as an offer that was refused
// here may hold, which is longer: nobody is lost while they come back.
type shelf struct {
	offers map[lease.Principal]*held
	split  bool
	parts  int64 // Unix seconds; until then a refused offer may lie in a part
}

// full reports whether a shelf takes nobody new.
func (s *shelf) full(perBucket int) bool {
	if len(s.offers) >= perBucket {
		s.split = true
	}
	return s.split
}

// left lets the split end at half load.
func (s *shelf) left(perBucket int) {
	if len(s.offers) <= perBucket/2 {
		s.split = false
	}
}

// parted reports whether readers are to go on to the parts.
func (s *shelf) parted(now int64) bool { return now < s.parts }

// list answers with a page of a shelf.
func (h *Holder) list(now time.Time, in List) (answer Response) {
	s := h.buckets[in.Bucket]
	if s == nil {
		return answer
	}
	answer.Size, answer.Split = uint32(len(s.offers)), s.parted(now.Unix())
	nodes := make([]lease.Principal, 0, len(s.offers))
	for n := range s.offers {
		if bytes.Compare(n[:], in.After[:]) > 0 {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	limit := min(max(in.Limit, 0), PageEntries)
	for _, n := range nodes[:min(limit, len(nodes))] {
		answer.Offers = append(answer.Offers, s.offers[n].offer.Bytes)
	}
	if limit > 0 && len(nodes) > limit {
		answer.After = nodes[limit-1]
	}
	return answer
}
