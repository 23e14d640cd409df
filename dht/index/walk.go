// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease"
	"croft/lease/offer"
)

// Search is what one walk over the index is for.
type Search struct {
	Query offer.Query
	// Reasons: the bucket of every node is read too, so that it can be said what
	// each constraint removed. It is whenever nothing matches.
	Reasons bool
	// From is where in each bucket to begin; the walk goes round. Seekers who want
	// but a few begin at places of their own, else all would ask the same nodes.
	From lease.Principal
}

// Walk yields the offers of the buckets that serve the query best, as holders
// answer, whether they match or not. An offer comes again when a newer one of its
// node turns up, also one that is closed: [offer.Merge] settles it. An error tells
// of a bucket that could not be read; the others go on. Leaving the loop stops the
// walk.
func (x *Index) Walk(ctx context.Context, s Search) iter.Seq2[offer.Found, error] {
	return func(yield func(offer.Found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w := &walk{x: x, search: s, opened: map[[sha256.Size]byte]opened{}, closest: map[dht.Bucket]*closest{}, left: maxBuckets}
		matched := false
		newest := map[lease.Principal]uint64{}
		pass := func(i item) bool {
			if i.err != nil {
				return yield(offer.Found{}, i.err)
			}
			seen, known := newest[i.offer.Node]
			switch {
			case known && seen > i.offer.Sequence:
				x.ignore(Older, 1)
				return true
			case known && seen == i.offer.Sequence:
				return true
			case !known && len(newest) == maxFound:
				x.ignore(Excess, 1)
				return true
			}
			newest[i.offer.Node] = i.offer.Sequence
			matched = matched || possible(s.Query, &i.offer.Offer)
			return yield(offer.NewFound(*i.offer, offer.DHT, x.cfg.Now()), nil)
		}
		var plan dht.Plan
		if !w.stage(ctx, pass, func(ctx context.Context) { plan = w.plan(ctx) }) ||
			!w.stage(ctx, pass, func(ctx context.Context) { w.read(ctx, plan.Buckets) }) {
			return
		}
		if plan.Buckets[0] != dht.Every && (s.Reasons || !matched) &&
			!w.stage(ctx, pass, func(ctx context.Context) { w.read(ctx, []dht.Bucket{dht.Every}) }) {
			return
		}
		if err := ctx.Err(); err != nil {
			yield(offer.Found{}, fmt.Errorf("walking the index: %w", err))
		}
	}
}

// possible reports whether an offer matches as far as the offer itself tells:
// round trips are the seeker's to measure.
func possible(q offer.Query, o *offer.Offer) bool {
	return !o.Closed && !slices.ContainsFunc(q.Constraints, func(c offer.Constraint) bool {
		return c.Attr != "rtt" && !c.Holds(o, offer.Measured{})
	})
}

// walk is one search under way.
type walk struct {
	x      *Index
	search Search
	items  chan item // of the stage under way

	mu      sync.Mutex
	opened  map[[sha256.Size]byte]opened // a signature is verified once, whoever shows it
	closest map[dht.Bucket]*closest      // a bucket that was sampled is not looked up again
	left    int                          // buckets that may still be read
}

type item struct {
	offer *offer.Opened
	err   error
}

type opened struct {
	offer *offer.Opened
	err   error
}

type closest struct {
	once  sync.Once
	peers []peer.AddrInfo
	err   error
}

// stage runs a part of the search beside the loop that yields what it finds. It
// reports whether the loop wants more.
func (w *walk) stage(ctx context.Context, pass func(item) bool, run func(context.Context)) bool {
	items := make(chan item)
	w.items = items
	go func() {
		defer close(items)
		run(ctx)
	}()
	for i := range items {
		if !pass(i) {
			return false
		}
	}
	return true
}

func (w *walk) send(ctx context.Context, i item) {
	select {
	case w.items <- i:
	case <-ctx.Done():
	}
}

// holders finds who holds a bucket, once in a search.
func (w *walk) holders(ctx context.Context, b dht.Bucket) ([]peer.AddrInfo, error) {
	w.mu.Lock()
	c := w.closest[b]
	if c == nil {
		c = &closest{}
		w.closest[b] = c
	}
	w.mu.Unlock()
	c.once.Do(func() {
		key := b.Key()
		c.peers, c.err = w.x.cfg.Router.Closest(ctx, key[:], replicas)
		c.peers = c.peers[:min(replicas, len(c.peers))]
	})
	return c.peers, c.err
}

// open verifies an offer, or remembers that it did.
func (w *walk) open(b []byte) (*offer.Opened, error) {
	digest := sha256.Sum256(b)
	w.mu.Lock()
	known, ok := w.opened[digest]
	w.mu.Unlock()
	if ok {
		return known.offer, known.err
	}
	o, err := w.x.cfg.Holder.OpenOffer(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.opened) < maxFound { // what liars invent needs no memory
		w.opened[digest] = opened{o, err}
	}
	return o, err
}

// read reads buckets and, level by level, the parts of those that split.
func (w *walk) read(ctx context.Context, buckets []dht.Bucket) {
	var mu sync.Mutex
	sizes := map[dht.Bucket]int{}
	for level := buckets; len(level) > 0 && ctx.Err() == nil; {
		if len(level) > w.left {
			w.x.ignore(Excess, len(level)-w.left)
			level = level[:w.left]
		}
		w.left -= len(level)
		var next []dht.Bucket
		each(parallelWalks, level, func(b dht.Bucket) {
			n, parted, err := w.bucket(ctx, b)
			if err != nil {
				w.send(ctx, item{err: fmt.Errorf("reading bucket %s: %w", b, err)})
			}
			mu.Lock()
			defer mu.Unlock()
			if sizes[b.Whole()] += n; parted {
				next = append(next, b.Parts()...)
			}
		})
		level = next
	}
	if ctx.Err() == nil && w.search.From.IsZero() {
		for b, n := range sizes {
			w.x.learn(b, n)
		}
	}
}
