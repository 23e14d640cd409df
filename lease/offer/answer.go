// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"

	"croft/lease"
)

// FindRequest is what a seeker asks of whoever does discovery.
type FindRequest struct {
	Query string `json:"query"`
	View  bool   `json:"view"`            // false: the view must not be used
	Limit int    `json:"limit,omitempty"` // lowers the query's own; 0 leaves it

	// Enough is how many matches the view must have for the index not to be
	// asked too; 0 is a page.
	Enough int `json:"enough,omitempty"`
}

// Parse reads the request's query and lowers its limit.
func (r FindRequest) Parse() (Query, error) {
	q, err := ParseQuery(r.Query)
	if err != nil {
		return Query{}, err
	}
	if r.Limit > 0 && (q.Limit == 0 || r.Limit < q.Limit) {
		q.Limit = r.Limit
	}
	return q, nil
}

// Result is the answer: the offers in order, and what became of the rest.
type Result struct {
	Offers  []Found   `json:"offers"`
	Known   int       `json:"known"`             // candidates looked at
	Matched int       `json:"matched"`           // of them, before limit
	Removed []Removed `json:"removed,omitempty"` // a line for each constraint, in the query's order
	Nearest string    `json:"nearest,omitempty"` // what to loosen, where something nearly matched
}

// Removed is what one constraint did.
type Removed struct {
	Constraint string `json:"constraint"`
	Count      int    `json:"count"` // removed by it after all earlier ones
	Alone      int    `json:"alone"` // would be removed by it alone
}

// Options are what a seeker adds to a query.
type Options struct {
	// Measured tells what the seeker knows of a node; nil is nothing.
	Measured func(lease.Principal) Measured
	// From is where the seeker is: it estimates what was not measured. Nil is
	// nowhere.
	From *Coordinate
	// Doubted tells whether somebody says that a node does not answer; it comes
	// last then. Nil is nobody.
	Doubted func(*Offer) bool
	// Salt breaks ties: seekers with different salts prefer different nodes
	// among equals, so that not everybody asks the same one first.
	Salt []byte
}

// Answer filters, orders, spreads and limits the candidates of a query and
// explains what it left out.
func Answer(q Query, candidates []Found, opt Options) Result {
	res := explain(q, candidates, opt)
	for _, f := range candidates {
		if ok, _ := q.Match(&f.Offer, opt.measured(&f.Offer)); ok {
			res.Offers = append(res.Offers, f)
		}
	}
	res.Matched = len(res.Offers)
	q.sort(res.Offers, opt)
	res.Offers = q.spread(res.Offers)
	opt.doubtedLast(res.Offers)
	limit := MaxLimit
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	res.Offers = res.Offers[:min(limit, len(res.Offers))]
	opt.ways(res.Offers)
	if res.Offers == nil {
		res.Offers = []Found{} // an empty list in JSON, not null
	}
	return res
}

type ranked struct {
	found  Found
	number uint64
	text   string
	stated bool
	tie    [sha256.Size]byte
}

func (q Query) sort(found []Found, opt Options) {
	rank := make([]ranked, len(found))
	a, ordered := lookup(q.Order)
	for i, f := range found {
		rank[i] = ranked{found: f, tie: sha256.Sum256(append(slices.Clone(opt.Salt), f.Offer.Node[:]...))}
		switch {
		case !ordered:
		case a.kind != words:
			rank[i].number, rank[i].stated = a.number(&f.Offer, opt.measured(&f.Offer))
		default:
			if texts := a.texts(&f.Offer); len(texts) > 0 {
				rank[i].text, rank[i].stated = texts[0], texts[0] != ""
			}
		}
	}
	slices.SortFunc(rank, func(x, y ranked) int {
		if x.stated != y.stated { // what is not stated comes last, either way
			return map[bool]int{true: -1, false: 1}[x.stated]
		}
		c := compareRank(x, y)
		if q.Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
		return bytes.Compare(x.tie[:], y.tie[:])
	})
	for i := range rank {
		found[i] = rank[i].found
	}
}

func compareRank(x, y ranked) int {
	switch {
	case x.number < y.number || x.number == y.number && x.text < y.text:
		return -1
	case x.number > y.number || x.text > y.text:
		return 1
	}
	return 0
}

// spread takes the best of each group, then the second of each, and so on.
func (q Query) spread(found []Found) []Found {
	if q.Spread == "" {
		return found
	}
	seen := map[string]int{}
	turn := make(map[lease.Principal]int, len(found))
	for _, f := range found {
		g := group(q.Spread, &f.Offer)
		turn[f.Offer.Node] = seen[g]
		seen[g]++
	}
	slices.SortStableFunc(found, func(a, b Found) int { return turn[a.Offer.Node] - turn[b.Offer.Node] })
	return found
}

// group names what a node shares with others. Nodes that state nothing form one
// group: silence must not look like diversity.
func group(by string, o *Offer) string {
	switch by {
	case "as":
		return strconv.FormatUint(uint64(o.Attributes.AS), 10)
	case "country":
		return o.Attributes.Country
	}
	if o.Site.IsZero() {
		return o.SiteName()
	}
	return o.Site.String()
}

// Thin reports whether an answer from the view alone should be completed from
// the index: fewer matched than the query wants, or none at all.
func (q Query) Thin(r Result) bool { return r.Matched < max(q.Limit, 1) }
