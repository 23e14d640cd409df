// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/role"
)

// The messages of discovery/1: docs/roles/discovery.md.
type (
	findAsk struct {
		Query  string `json:"query"`
		View   bool   `json:"view"`
		Limit  int    `json:"limit,omitempty"`
		Enough int    `json:"enough,omitempty"`
		All    bool   `json:"explain,omitempty"`

		// The same read, for who does not want to.
		Constraints []findConstraint `json:"constraints"`
		Order       []findKey        `json:"order,omitempty"`
		Spread      string           `json:"spread,omitempty"`
	}
	findConstraint struct {
		Text   string   `json:"text"`
		Attr   string   `json:"attr"`
		Op     offer.Op `json:"op"`
		Value  string   `json:"value"`
		Number *uint64  `json:"number,omitempty"`
	}
	findKey struct {
		Attr string `json:"attr"`
		Desc bool   `json:"descending,omitempty"`
	}
	findPart struct {
		Offers []findOffer `json:"offers,omitempty"`
	}
	findOffer struct {
		Signed []byte       `json:"signed"`
		Source offer.Source `json:"source,omitempty"`
	}
	findDone struct {
		Known   int             `json:"known,omitempty"`
		Matched int             `json:"matched,omitempty"`
		Removed []offer.Removed `json:"removed,omitempty"`
		Nearest string          `json:"nearest,omitempty"`
		More    bool            `json:"more,omitempty"`
		Missed  string          `json:"missed,omitempty"`
	}
)

func findAskOf(req offer.FindRequest, q offer.Query) findAsk {
	ask := findAsk{Query: req.Query, View: req.View, Limit: q.Limit, Enough: req.Enough, All: req.Explain, Constraints: []findConstraint{}, Spread: q.Spread}
	for _, c := range q.Constraints {
		f := findConstraint{Text: c.String(), Attr: c.Attr, Op: c.Op, Value: c.Value}
		if n, ok := c.Number(); ok {
			f.Number = &n
		}
		ask.Constraints = append(ask.Constraints, f)
	}
	for _, k := range q.Order {
		ask.Order = append(ask.Order, findKey{k.Attr, k.Descending})
	}
	return ask
}

func (a findAsk) request() offer.FindRequest {
	return offer.FindRequest{Query: a.Query, View: a.View, Limit: a.Limit, Enough: a.Enough, Explain: a.All}
}

// findReading verifies the answer of one tenant.
type findReading struct {
	*seeking
	tenant role.Tenant
	trial  bool
	offers []offer.Found
	wrong  map[lease.Principal]bool // nodes that do not match
	sent   map[offerKey]bool        // what came once counts once
}

func newFindReading(s *seeking, t role.Tenant, trial bool) *findReading {
	return &findReading{seeking: s, tenant: t, trial: trial, wrong: map[lease.Principal]bool{}, sent: map[offerKey]bool{}}
}

// offerKey is one offer of a node.
type offerKey struct {
	node     lease.Principal
	sequence uint64
}

func (r *findReading) part(raw json.RawMessage) error {
	var p findPart
	if err := exact(raw, &p); err != nil {
		return fmt.Errorf("%w: a part that is none: %w", errLie, err)
	}
	now := r.d.deps.Clock.Wall()
	for _, o := range p.Offers {
		if err := r.verify(o, now); err != nil {
			return err
		}
	}
	return nil
}

// verify takes an offer that is what the tenant says: signed by the node, and a match.
// One that does not match is left out: pages can be read in more than one way, and it
// is the node that reads last. One that lapsed on the way is passed over, as is that of
// a node which does not answer: who has not heard of it is no liar.
func (r *findReading) verify(o findOffer, now time.Time) error {
	opened, err := r.d.opened.get(o.Signed)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it brings an offer that is none: %w", errLie, err)
	case opened.Closed || opened.Fresh(now) != nil || !r.d.seeker().Present(&opened.Offer):
		return nil
	}
	key := offerKey{opened.Offer.Node, opened.Offer.Sequence}
	if r.sent[key] {
		return nil
	}
	r.sent[key] = true
	for _, c := range r.query.Constraints {
		if c.Attr != rttAttr && !c.Holds(&opened.Offer, offer.Measured{}) {
			r.wrong[opened.Offer.Node] = true
			return nil
		}
	}
	source := offer.Source(cmp.Or(role.Printable(string(o.Source), maxSource), role.Printable(r.tenant.Short(), maxSource)))
	f := offer.NewFound(*opened, source, now)
	r.offers = append(r.offers, f)
	if !r.trial && r.tenant == role.Builtin { // of a slice's answer the end may yet refute all
		r.found(f)
	}
	return nil
}

// rttAttr is the attribute that the node measures itself.
const rttAttr = "rtt"

// findAnswer is an answer that was verified, but for what is yet to be measured.
type findAnswer struct {
	reading *findReading
	done    findDone

	// What it is compared by: the first nodes as far as they are measured already, how
	// many were sent that do not match, and who of the first is in the node's own view.
	first  []lease.Principal
	wrong  int
	viewed map[lease.Principal]bool
}

// end reads the end of an answer. Nothing is measured yet: that is not for who is
// merely tried, and no tenant's time.
func (r *findReading) end(raw json.RawMessage) (any, error) {
	a := &findAnswer{reading: r, wrong: len(r.wrong)}
	if err := exact(raw, &a.done); err != nil {
		return nil, fmt.Errorf("%w: an end that is none: %w", errLie, err)
	}
	if d := a.done; d.Known < 0 || d.Matched < 0 || d.Matched > d.Known && d.Known > 0 {
		return nil, fmt.Errorf("%w: %d of %d match", errLie, d.Matched, d.Known)
	}
	r.offers = offer.Merge(r.d.deps.Clock.Wall(), r.offers)
	seen := offer.Answer(r.query, r.offers, r.d.seeker().Options())
	for _, f := range seen.Offers[:min(len(seen.Offers), compared)] {
		a.first = append(a.first, f.Offer.Node)
	}
	if r.trial && r.query.Limit > 0 && !r.query.Ordered() {
		a.viewed = map[lease.Principal]bool{}
		for _, o := range r.d.view() {
			if slices.Contains(a.first, o.Node) {
				a.viewed[o.Node] = true
			}
		}
	}
	return a, nil
}

// result makes the result: the node's own order, and of the tenant's account what can
// be true.
func (a *findAnswer) result(ctx context.Context) offer.Result {
	r, done := a.reading, a.done
	ctx, cancel := context.WithTimeout(ctx, learnLimit+measureLimit)
	defer cancel()
	res := r.d.seeker().Answer(ctx, r.query, r.offers)
	far := res.Known - res.Matched + a.wrong // of those that were sent: only the node knows who is near
	res.Known, res.Matched = max(done.Known, res.Known), max(done.Matched-far, res.Matched)
	if removed, ok := accounted(r.query, done); ok {
		for i, c := range r.query.Constraints {
			if c.Attr == rttAttr {
				removed[i].Count, removed[i].Alone = max(removed[i].Count, res.Removed[i].Count), max(removed[i].Alone, res.Removed[i].Alone)
			}
		}
		res.Removed = removed
	}
	if n := role.Printable(done.Nearest, role.MaxText); n != "" && res.Matched == 0 {
		res.Nearest = n
	}
	res.More, res.Missed = done.More, role.Printable(done.Missed, role.MaxText)
	return res
}

// accounted is what each constraint removed, if the tenant's account is of this
// query.
func accounted(q offer.Query, done findDone) ([]offer.Removed, bool) {
	if len(done.Removed) != len(q.Constraints) {
		return nil, false
	}
	for i, c := range q.Constraints {
		r := done.Removed[i]
		if r.Constraint != c.String() || r.Count < 0 || r.Alone < 0 || max(r.Count, r.Alone) > done.Known {
			return nil, false
		}
	}
	return done.Removed, true
}

// exact decodes one JSON value with no fields but those that v has.
func exact(raw json.RawMessage, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}
