// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"maps"
	"slices"
	"time"

	"croft/lease"
)

// Search answers a query while candidates come in, from several sources and in any
// order, so that what matches can be told before all is known:
//
//	s := offer.NewSearch(q, offer.Options{})
//	for f := range candidates {
//		if s.Add(now, f) { … } // tell it
//		if s.Enough() { break }
//	}
//	res := offer.Answer(q, s.Known(now), offer.Options{})
//
// It is not safe for concurrent use.
type Search struct {
	query  Query
	opt    Options
	newest map[lease.Principal]Found
	told   map[lease.Principal]bool
}

// NewSearch begins with nothing known.
func NewSearch(q Query, opt Options) *Search {
	return &Search{query: q, opt: opt, newest: map[lease.Principal]Found{}, told: map[lease.Principal]bool{}}
}

// Add takes a candidate and reports whether it is a match to tell now: not of a
// query that orders or spreads, not twice of a node, and none beyond the limit.
func (s *Search) Add(now time.Time, f Found) bool {
	if known, ok := s.newest[f.Offer.Node]; ok && known.Offer.Sequence >= f.Offer.Sequence {
		return false
	}
	s.newest[f.Offer.Node] = f
	if s.query.Ordered() || s.Enough() || s.told[f.Offer.Node] || f.Offer.Closed || f.Offer.Fresh(now) != nil {
		return false
	}
	if ok, _ := s.query.Match(&f.Offer, s.opt.measured(&f.Offer)); !ok {
		return false
	}
	s.told[f.Offer.Node] = true
	return true
}

// Enough reports whether as many matches have been told as the query wants.
func (s *Search) Enough() bool {
	return !s.query.Ordered() && len(s.told) >= s.query.most()
}

// Known is all that came in: of each node the newest, sorted by node.
func (s *Search) Known(now time.Time) []Found {
	return Merge(now, slices.Collect(maps.Values(s.newest)))
}

// most is the number of offers that an answer has at the most.
func (q Query) most() int {
	if q.Limit > 0 {
		return min(q.Limit, MaxLimit)
	}
	return MaxLimit
}
