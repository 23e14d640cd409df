// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease"
)

// bucket asks the holders of a bucket at once. After a quorum of answers the rest
// get linger; a bucket that nobody answers for is an error. It returns how many
// nodes are in it, and whether to go on to its parts.
func (w *walk) bucket(ctx context.Context, b dht.Bucket) (nodes int, parted bool, err error) {
	x := w.x
	var mu sync.Mutex
	var heard []dht.Heard
	all := map[lease.Principal]bool{}
	note := func(r reading) int {
		mu.Lock()
		defer mu.Unlock()
		for n := range r.nodes {
			all[n] = true
		}
		heard = append(heard, dht.Heard{Split: r.split, Shown: len(r.nodes)})
		return len(heard)
	}
	if x.cfg.Serve { // the node may be among the closest, and its router does not say so
		own, err := w.pages(ctx, b, func(req dht.Request) (dht.Response, error) { return x.local(req, netip.Addr{}), nil })
		if err == nil && (own.split || len(own.nodes) > 0) { // else it may be far from them
			note(own)
		}
	}
	peers, err := w.holders(ctx, b)
	if err != nil {
		return len(all), false, err
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	mine, enough := len(heard), dht.Quorum(len(peers))
	var late *time.Timer
	each(replicas, peers, func(p peer.AddrInfo) {
		r, err := w.pages(asking, b, func(req dht.Request) (dht.Response, error) { return x.ask(asking, p, req) })
		if err != nil { // dead, slow or wrong: others answer
			if asking.Err() == nil {
				x.ignore(Silent, 1)
			}
			return
		}
		if note(r) == mine+enough {
			late = time.AfterFunc(linger, cancel)
		}
	})
	if late != nil {
		late.Stop()
	}
	if len(heard) == mine && !x.cfg.Serve {
		return len(all), false, ErrNoHolder
	}
	if parted = dht.Parted(heard, x.cfg.Holder.PerBucket); !parted {
		for _, h := range heard {
			if h.Split {
				x.ignore(Unproved, 1)
			}
		}
	}
	return len(all), parted, nil
}

// reading is what one holder showed of a bucket.
type reading struct {
	split bool
	nodes map[lease.Principal]bool
}

// pages reads one holder's bucket, beginning at search.From and going round, and
// passes on the offers that open, hold and belong there.
func (w *walk) pages(ctx context.Context, b dht.Bucket, ask func(dht.Request) (dht.Response, error)) (reading, error) {
	r := reading{nodes: map[lease.Principal]bool{}}
	from := w.search.From
	req := dht.Request{Op: dht.OpList, Buckets: []dht.Key{b.Key()}, Limit: dht.PageEntries, After: from}
	round := !from.IsZero() // the pages before from are still to come
	for n := 0; ; n++ {
		if n == maxPages {
			w.x.ignore(Excess, 1)
			return r, nil
		}
		resp, err := ask(req)
		if err != nil {
			return r, err
		}
		r.split = r.split || resp.Split
		if !w.take(ctx, b, req.After, resp, r.nodes) {
			return r, nil
		}
		switch {
		case resp.After.IsZero() && !round, !from.IsZero() && !round && bytes.Compare(resp.After[:], from[:]) >= 0:
			return r, nil
		case resp.After.IsZero():
			round = false
		}
		req.After = resp.After
	}
}

// take passes on what is good of a page, and reports whether its holder goes on
// as it must: nodes ascend behind the cursor, and so does the cursor.
func (w *walk) take(ctx context.Context, b dht.Bucket, cursor lease.Principal, resp dht.Response, nodes map[lease.Principal]bool) bool {
	now, after := w.x.cfg.Now(), cursor
	for _, raw := range resp.Offers {
		o, err := w.open(raw)
		if err != nil {
			w.x.ignore(Unreadable, 1)
			continue
		}
		if bytes.Compare(o.Node[:], after[:]) <= 0 {
			w.x.ignore(Disordered, 1)
			return false
		}
		after = o.Node
		switch {
		case o.Fresh(now) != nil:
			w.x.ignore(Lapsed, 1)
		case !o.Closed && !b.Holds(&o.Offer): // of one that is closed nothing tells where it was
			w.x.ignore(Alien, 1)
		default:
			nodes[o.Node] = true
			w.send(ctx, item{offer: o})
		}
	}
	if next := resp.After; !next.IsZero() && (bytes.Compare(next[:], after[:]) < 0 || next == cursor) {
		w.x.ignore(Disordered, 1)
		return false
	}
	return true
}

// plan samples sizes where that can change the choice, and passes on what the
// samples show.
func (w *walk) plan(ctx context.Context) dht.Plan {
	x := w.x
	plans := dht.Plans(w.search.Query)
	each(parallelWalks, dht.Sample(plans), func(b dht.Bucket) {
		if _, ok := x.size(b); ok {
			return
		}
		if n, ok := w.sample(ctx, b); ok {
			x.learn(b, n)
		}
	})
	return dht.Choose(plans, x.size)
}

// sample estimates how many offers a bucket and its parts have, from one part of
// each depth.
func (w *walk) sample(ctx context.Context, b dht.Bucket) (n int, ok bool) {
	peers, err := w.holders(ctx, b)
	if err != nil {
		return 0, false
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	split := false
	few := peers[:min(dht.Quorum(replicas), len(peers))]
	each(len(few), few, func(p peer.AddrInfo) {
		resp, err := w.x.ask(asking, p, dht.Request{Op: dht.OpList, Buckets: []dht.Key{b.Key()}, Limit: samplePage, After: w.search.From})
		mu.Lock()
		defer mu.Unlock()
		if err != nil || ok {
			return
		}
		n, split, ok = int(resp.Size), resp.Split, true // one answer is a sample
		w.take(ctx, b, w.search.From, resp, map[lease.Principal]bool{})
		cancel()
	})
	if parts := b.Parts(); split && n > 0 && len(parts) > 0 {
		if deeper, ok := w.sample(ctx, parts[0]); ok {
			n += 2 * deeper
		}
	}
	return n, ok
}

// size is how large a bucket was lately.
func (x *Index) size(b dht.Bucket) (int, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, ok := x.sizes[b]
	return s.offers, ok && x.cfg.Now().Sub(s.at) < sizeAge
}

func (x *Index) learn(b dht.Bucket, offers int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.sizes[b]; !ok && len(x.sizes) >= maxSizes {
		clear(x.sizes) // only a memory of guesses
	}
	x.sizes[b] = size{offers, x.cfg.Now()}
}
