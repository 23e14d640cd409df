// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/dht"
	"croft/lease"
	"croft/lease/offer"
	"croft/sim/scenario"
)

// finding is one question to the index, asked by the rules of dht/index. Offers
// stream in; what is measured is when the first that matches is there, and when a
// page of them is, those of the asker's own holder left out.
type finding struct {
	n        *peer
	q        offer.Query
	began    time.Duration
	thin     bool // the view knows something already
	newest   map[lease.Principal]uint64
	matched  map[lease.Principal]bool
	lies     int // of them, that are of hostile nodes
	requests int
	over     bool
	done     func(*finding)
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
				w.search(n, q, false)
				n.get(r)
				return
			}
			w.lookAndSearch(n, q)
		})
	}
}

// lookAndSearch answers from the view, and asks the index where that is thin.
func (w *World) lookAndSearch(n *peer, q offer.Query) {
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
	w.search(n, q, known > 0)
}

// search asks the index.
func (w *World) search(n *peer, q offer.Query, thin bool) {
	there := 0
	for _, o := range w.nodes {
		if o != n && o.up && !o.hole && o.evil == nil && o.latest != nil && matches(q, &o.latest.Offer) {
			there++
		}
	}
	f := &finding{n: n, q: q, began: w.now, thin: thin, newest: map[lease.Principal]uint64{}, matched: map[lease.Principal]bool{}}
	limit := findLimit
	if thin {
		limit = thinLimit
	}
	f.done = func(f *finding) {
		w.note(n.index, "found %d of %d", len(f.matched), there)
		w.figures.requests.Observe(int64(f.requests))
		w.tally("finds", "that asked the index")
		if there == 0 {
			return
		}
		w.figures.findable++
		if f.honest() > 0 {
			w.figures.answered++
		}
		if there >= page {
			w.figures.pages++
			if f.honest() >= page {
				w.figures.filled++
			}
		}
	}
	n.later(limit, f.end)
	f.plan(func(p dht.Plan) {
		f.read(p.Buckets, func() {
			if len(f.matched) > 0 || p.Buckets[0] == dht.Every {
				f.end()
				return
			}
			f.read([]dht.Bucket{dht.Every}, f.end)
		})
	})
}

func (f *finding) end() {
	if !f.over {
		f.over = true
		f.done(f)
	}
}

func matches(q offer.Query, o *offer.Offer) bool {
	ok, _ := q.Match(o, offer.Measured{})
	return ok && !o.Closed
}

// walk looks up who holds a bucket.
func (f *finding) walk(key dht.Key, done func(holders []int32)) {
	var k *walk
	k = f.n.walk(keyspace(key[:]), func(nearest []int32) {
		f.requests += k.asks()
		if !f.over {
			done(nearest[:min(replicas, len(nearest))])
		}
	})
}

// plan samples sizes where that can change the choice.
func (f *finding) plan(done func(dht.Plan)) {
	n, plans := f.n, dht.Plans(f.q)
	sample := dht.Sample(plans)
	choose := func() {
		done(dht.Choose(plans, func(b dht.Bucket) (int, bool) { size, ok := n.indexed.sizes[b]; return size, ok }))
	}
	if len(sample) == 0 {
		choose()
		return
	}
	n.each(parallelWalks, len(sample), func(i int, next func()) {
		key := sample[i].Key()
		f.walk(key, func(holders []int32) {
			holders = holders[:min(quorum, len(holders))]
			left, told := len(holders), false
			if left == 0 {
				next()
			}
			for _, p := range holders {
				f.requests++
				n.askHolder(p, dht.Request{Op: dht.OpList, Buckets: []dht.Key{key}}, func(r dht.Response, ok bool) {
					left--
					if ok {
						n.indexed.sizes[sample[i]] = int(r.Size)
					}
					if !f.over && !told && (ok || left == 0) { // one answer is a sample
						told = true
						next()
					}
				})
			}
		})
	}, choose)
}

// read asks the holders of buckets, and goes on when enough of them have answered.
func (f *finding) read(buckets []dht.Bucket, done func()) {
	f.n.each(parallelWalks, len(buckets), func(i int, next func()) { f.bucket(buckets[i], next) }, func() {
		if !f.over {
			done()
		}
	})
}

func (f *finding) bucket(b dht.Bucket, next func()) {
	n, key := f.n, b.Key()
	f.walk(key, func(holders []int32) {
		left, heard, through := len(holders), 0, false
		enough := min(quorum, (len(holders)+1)/2)
		finish := func() {
			if !through && !f.over {
				through = true
				next()
			}
		}
		if left == 0 {
			finish()
		}
		for _, p := range holders {
			f.pages(p, dht.Request{Op: dht.OpList, Buckets: []dht.Key{key}, Limit: dht.PageEntries}, maxPages, func(size int, ok bool) {
				left--
				if ok {
					n.indexed.sizes[b] = size
					if heard++; heard == enough {
						n.later(linger, finish)
					}
				}
				if left == 0 {
					finish()
				}
			})
		}
	})
}

// pages reads one holder's bucket to its end.
func (f *finding) pages(from int32, req dht.Request, most int, done func(size int, ok bool)) {
	f.requests++
	f.n.askHolder(from, req, func(r dht.Response, ok bool) {
		if f.over {
			return
		}
		f.take(r.Offers)
		if !ok || r.After.IsZero() || most == 1 {
			done(int(r.Size), ok)
			return
		}
		req.After = r.After
		f.pages(from, req, most-1, done)
	})
}

// take opens what a holder has: the newest of each node counts.
func (f *finding) take(offers [][]byte) {
	n := f.n
	w := n.w
	for _, b := range offers {
		o, err := w.open(b)
		if err != nil || o.Fresh(n.wall()) != nil || f.newest[o.Node] >= o.Sequence {
			continue
		}
		f.newest[o.Node] = o.Sequence
		if !matches(f.q, &o.Offer) {
			if f.matched[o.Node] && w.foe(o.Node) {
				f.lies--
			}
			delete(f.matched, o.Node)
			continue
		}
		if f.matched[o.Node] {
			continue
		}
		f.matched[o.Node] = true
		if w.foe(o.Node) {
			f.lies++
			continue
		}
		switch f.honest() {
		case 1:
			w.figures.lookup.Add(w.now, int64(w.now-f.began))
		case page:
			w.figures.page.Add(w.now, int64(w.now-f.began))
		}
	}
}

// honest is how many of the matches are of nodes that keep the rules.
func (f *finding) honest() int { return len(f.matched) - f.lies }
