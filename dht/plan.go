// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"croft/lease"
	"croft/lease/offer"
)

// A Plan is a set of buckets of which every match of a query is in one.
type Plan struct {
	Constraint string // the conjunct that it serves; empty for the plan over Every
	Buckets    []Bucket
}

// Plans returns every way to answer a query: one for each conjunct that the
// index knows, and the bucket of every node last.
func Plans(q offer.Query) []Plan {
	var plans []Plan
	for _, c := range q.Constraints {
		if b := conjunct(c); len(b) > 0 && len(b) <= MaxPlanBuckets {
			plans = append(plans, Plan{c.String(), b})
		}
	}
	return append(plans, Plan{Buckets: []Bucket{Every}})
}

func conjunct(c offer.Constraint) []Bucket {
	number, _ := c.Number()
	switch {
	case c.Op == offer.NotEqual:
		return nil // nearly everything
	case c.Op == offer.Equal && c.Attr == "as":
		return []Bucket{{Attr: "as", Value: strconv.FormatUint(number, 10)}}
	case c.Op == offer.Equal && c.Value != "" &&
		(c.Attr == "country" || c.Attr == "site" || strings.HasPrefix(c.Attr, "label.")):
		return []Bucket{{Attr: c.Attr, Value: strings.ToLower(c.Value)}}
	}
	r, err := lease.ParseResource(strings.TrimPrefix(c.Attr, "free."))
	s, ok := scales[r]
	if err != nil || !ok {
		return nil
	}
	low, high := 0, s.classes-1
	switch c.Op {
	case offer.Equal:
		low, high = s.class(number), s.class(number)
	case offer.Greater, offer.GreaterOrEqual:
		low = s.class(number)
	case offer.Less, offer.LessOrEqual:
		high = s.class(number)
	}
	if low == 0 && high == s.classes-1 {
		return nil // the bucket of every node does it in one walk
	}
	var all []Bucket
	for i := low; i <= high; i++ {
		all = append(all, class(r, i))
	}
	return all
}

// Sample returns the buckets whose sizes are worth asking before Choose, those of
// the narrowest plans first: none where there is no choice. One bucket by itself
// is never more than the bucket of every node; a range may be. Ranges over one
// attribute share buckets: each is named once.
func Sample(plans []Plan) []Bucket {
	single := func(p Plan) bool { return len(p.Buckets) == 1 && p.Buckets[0] != Every }
	if slices.ContainsFunc(plans, single) {
		plans = slices.DeleteFunc(slices.Clone(plans), func(p Plan) bool { return p.Buckets[0] == Every })
	}
	if len(plans) < 2 {
		return nil
	}
	var all []Bucket
	for _, p := range slices.SortedStableFunc(slices.Values(plans), func(a, b Plan) int { return len(a.Buckets) - len(b.Buckets) }) {
		more := slices.DeleteFunc(slices.Clone(p.Buckets), func(b Bucket) bool { return slices.Contains(all, b) })
		if len(all)+len(more) <= MaxSample {
			all = append(all, more...)
		}
	}
	return all
}

// Choose returns the plan with the fewest offers to walk. A bucket of unknown
// size counts as half full, each bucket costs as much as visit more offers, and
// of unknown size the bucket of every node is the last resort.
func Choose(plans []Plan, size func(Bucket) (int, bool)) Plan {
	const visit = 16
	best, least := Plan{Buckets: []Bucket{Every}}, -1
	for _, p := range plans {
		cost := visit * len(p.Buckets)
		for _, b := range p.Buckets {
			n, ok := size(b)
			switch {
			case ok:
				cost += n
			case b == Every:
				cost = math.MaxInt
			default:
				cost += MaxEntries / 2
			}
		}
		if least < 0 || cost < least {
			best, least = p, cost
		}
	}
	return best
}
