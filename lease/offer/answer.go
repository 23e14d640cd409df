// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"time"

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

	// Explain: the reasons shall be of every node that is known, also where the
	// index could answer from less.
	Explain bool `json:"explain,omitempty"`
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
	More    bool      `json:"more,omitempty"`    // the limit ended the search: nobody looked for more
	Missed  string    `json:"missed,omitempty"`  // what could not be read, so that offers may be missing

	Tenant  string `json:"tenant,omitempty"`  // who answered: builtin, or a slice
	Instead string `json:"instead,omitempty"` // who was asked before it, and why that is no answer
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
	// Estimate tells how far a node is that was not measured, 0 if nobody knows; nil is
	// what From and the offer say.
	Estimate func(*Offer) time.Duration
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
	res.Offers = res.Offers[:min(q.most(), len(res.Offers))]
	opt.ways(res.Offers)
	if res.Offers == nil {
		res.Offers = []Found{} // an empty list in JSON, not null
	}
	return res
}
