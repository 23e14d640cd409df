// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"croft/dht"
	"croft/dht/index"
	"croft/dht/kad"
	"croft/lease/offer"
	"croft/node/api"
)

const thinLimit = 2 * time.Second // for the index, when the view knows something already

// builtin is the tenant of the role discovery that every node begins with.
func (o *overlay) builtin() api.Discovery { return o }

// finder answers queries: from the view first, and from the index where that is
// thin or not wanted.
type finder struct {
	view func() []offer.Found
	walk func(context.Context, index.Search) iter.Seq2[offer.Found, error]
	now  func() time.Time
	opt  offer.Options

	// here passes over the nodes that are known not to answer; answer is
	// [offer.Answer], which measures what a query asks of the way. Nil: nothing is
	// known of either.
	here   func(*offer.Offer) bool
	answer func(context.Context, offer.Query, []offer.Found, offer.Options) offer.Result
}

func (o *overlay) finder() finder {
	return finder{view: o.view, walk: o.index.Walk, now: o.now, opt: seeker{o}.Options(), here: o.here,
		answer: func(ctx context.Context, q offer.Query, found []offer.Found, _ offer.Options) offer.Result {
			return seeker{o}.Answer(ctx, q, found)
		}}
}

func (f finder) answered(ctx context.Context, q offer.Query, found []offer.Found) offer.Result {
	if f.answer == nil {
		return offer.Answer(q, found, f.opt)
	}
	return f.answer(ctx, q, found, f.opt)
}

func (f finder) present(found []offer.Found) []offer.Found {
	if f.here == nil {
		return found
	}
	return slices.DeleteFunc(found, func(c offer.Found) bool { return !f.here(&c.Offer) })
}

// Find answers a query.
func (o *overlay) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return o.finder().find(ctx, req, func(offer.Found) error { return nil })
}

// Seek answers a query and tells matches as soon as they are sure to be among the
// answers; those of an ordered query at the end.
func (o *overlay) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	return o.finder().find(ctx, req, tell)
}

func (f finder) find(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	limit := findLimit
	search := offer.NewSearch(q, f.opt)
	pass := func(c offer.Found) error {
		if f.here != nil && !f.here(&c.Offer) {
			return nil
		}
		if search.Add(f.now(), c) {
			return tell(c)
		}
		return nil
	}
	if req.View {
		known := offer.Merge(f.now(), f.present(f.view()))
		res := f.answered(ctx, q, known)
		if res.Matched >= enough(req, q) {
			return res, each(res.Offers, tell)
		}
		if res.Matched > 0 {
			limit = thinLimit
		}
		for _, list := range [][]offer.Found{res.Offers, known} { // in the answer's order, then what does not match
			if err := each(list, pass); err != nil {
				return offer.Result{}, err
			}
		}
	}
	walking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var missed error
	cut := false
	for c, err := range f.walk(walking, f.search(q, req)) {
		if err != nil {
			missed = err
			continue
		}
		if err := pass(c); err != nil {
			return offer.Result{}, err
		}
		if cut = search.Enough(); cut {
			break
		}
	}
	res := f.answered(ctx, q, search.Known(f.now()))
	res.More = cut
	if missed != nil && !errors.Is(missed, kad.ErrAlone) {
		if res.Known == 0 {
			return offer.Result{}, fmt.Errorf("asking the index: %w", missed)
		}
		if res.Missed = missed.Error(); errors.Is(walking.Err(), context.DeadlineExceeded) {
			res.Missed = fmt.Sprintf("the index was asked for %s and no longer", limit)
		}
	}
	if q.Ordered() {
		return res, each(res.Offers, tell)
	}
	return res, nil
}

// search is how the index is walked for a query.
func (f finder) search(q offer.Query, req offer.FindRequest) index.Search {
	return index.Search{Query: q, Reasons: req.Explain, From: dht.Beginning(q, f.opt.Salt)}
}
