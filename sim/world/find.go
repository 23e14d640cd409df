// SPDX-License-Identifier: Apache-2.0

package world

import (
	"maps"
	"slices"
	"time"

	"croft/dht"
	"croft/lease"
	"croft/lease/offer"
	"croft/sim/scenario"
)

// finding is one question to the index: dht.Search. Offers stream in; what is
// measured is when the first of others that matches is there, and when a page is.
type finding struct {
	n       *peer
	q       offer.Query
	began   time.Duration
	search  *offer.Search
	matched map[lease.Principal]bool // but the asker
	first   bool                     // a match is there
	there   int                      // matches of others that could be found
	lies    int                      // matches that are of hostile nodes
	errand  *errand
	rate    *rated // at which it was asked
}

// find asks so many times, from nodes at random; with each that does without the
// view goes a plain get, to compare with.
func (w *World) find(do *scenario.Find) {
	q, err := offer.ParseQuery(do.Where)
	if err != nil {
		w.err = err
		return
	}
	r := w.record()
	for i := range do.Count {
		w.in(time.Duration(i)*do.Every, func() {
			home := w.anyUp()
			if home < 0 {
				return
			}
			n := w.nodes[home]
			if do.View == "off" {
				w.search(n, q, false, w.figures.rate(do.Every))
				n.get(r)
				return
			}
			w.lookAndSearch(n, q, do.Every)
		})
	}
}

// lookAndSearch answers from the view, and asks the index where that is thin.
func (w *World) lookAndSearch(n *peer, q offer.Query, every time.Duration) {
	var seen []offer.Found
	for _, o := range n.view.Offers(n.wall()) {
		seen = append(seen, offer.NewFound(o, offer.View, n.wall()))
	}
	enough := page
	if q.Limit > 0 {
		enough = q.Limit
	}
	known := offer.Answer(q, seen, offer.Options{}).Matched
	w.note(n.index, "view has %d", known)
	if known >= enough {
		w.tally("finds", "answered by the view")
		return
	}
	w.search(n, q, known > 0, w.figures.rate(every))
}

// search asks the index; thin, if the view knows something already.
func (w *World) search(n *peer, q offer.Query, thin bool, rate *rated) {
	f := &finding{n: n, q: q, began: w.now, rate: rate, search: offer.NewSearch(q, offer.Options{}), matched: map[lease.Principal]bool{}}
	for _, o := range w.nodes {
		if o != n && o.up && !o.hole && o.evil == nil && o.latest != nil && matches(q, &o.latest.Offer) {
			f.there++
		}
	}
	id := n.principal()
	x := n.indexed
	m := dht.NewSearch(dht.SearchConfig{Query: q, From: dht.Beginning(q, id[:]), At: n.wall(), Self: w.tables.ids[n.index], Serves: true,
		Open: w.open, Size: func(b dht.Bucket) (int, bool) { return x.sizes.Of(w.wall(), b) }, Nodes: n.density.Nodes})
	f.errand = n.errand(m, func(e dht.IndexEffect) {
		switch e := e.(type) {
		case dht.Show:
			f.show(e.Offer)
		case dht.Measured:
			x.sizes.Learn(w.wall(), e)
		case dht.Unread:
			w.tally("buckets", "not read")
		case dht.Ended:
			ignored := m.Ignored()
			for _, why := range slices.Sorted(maps.Keys(ignored)) {
				w.figures.Counter("shown", string(why)).Add(w.now, ignored[why])
			}
			f.end()
		}
	})
	f.errand.step(dht.Tick{})
	limit := findLimit
	if thin {
		limit = thinLimit
	}
	n.later(limit, func() {
		if !f.errand.over {
			w.tally("finds", "cut off")
			f.end()
		}
	})
}

// end counts what was found.
func (f *finding) end() {
	w := f.n.w
	f.errand.over = true
	w.note(f.n.index, "found %d of %d", len(f.matched), f.there)
	w.figures.requests.Observe(int64(f.errand.requests))
	w.tally("finds", "that asked the index")
	w.figures.Ask(f.there, f.honest(), page, f.first)
	if f.there > 0 {
		f.rate.asked++
		if f.first {
			f.rate.found++
		}
	}
}

func matches(q offer.Query, o *offer.Offer) bool {
	ok, _ := q.Match(o, offer.Measured{})
	return ok && !o.Closed
}

// show takes an offer that is newer than what was shown of its node.
func (f *finding) show(o *offer.Opened) {
	w := f.n.w
	if f.errand.over {
		return // enough was there before
	}
	if f.search.Add(f.n.wall(), offer.NewFound(*o, offer.DHT, f.n.wall())); f.search.Enough() {
		defer f.end()
	}
	if o.Node == f.n.principal() {
		return // of itself it knows without
	}
	if !matches(f.q, &o.Offer) {
		if f.matched[o.Node] && w.foe(o.Node) {
			f.lies--
		}
		delete(f.matched, o.Node)
		return
	}
	if f.matched[o.Node] {
		return
	}
	f.matched[o.Node] = true
	if w.foe(o.Node) {
		f.lies++
		return
	}
	if !f.first {
		f.first = true
		w.figures.Lookup.Add(w.now, int64(w.now-f.began))
		f.rate.lookup.Add(int64(w.now - f.began))
	}
	if f.honest() == page {
		w.figures.Page.Add(w.now, int64(w.now-f.began))
		f.rate.page.Add(int64(w.now - f.began))
	}
}

// honest is how many of the matches are of nodes that keep the rules.
func (f *finding) honest() int { return len(f.matched) - f.lies }
