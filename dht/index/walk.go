// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease"
	"croft/lease/offer"
)

// Walk yields the offers of the buckets that serve the query best, as holders
// answer. An offer comes again when a newer one of its node turns up, also one
// that is closed: [offer.Merge] settles it. An error tells of a bucket that
// could not be read; the others go on. Leaving the loop stops the walk.
func (x *Index) Walk(ctx context.Context, q offer.Query) iter.Seq2[offer.Found, error] {
	return func(yield func(offer.Found, error) bool) {
		x.walk(ctx, x.plan(ctx, q).Buckets)(yield)
	}
}

func (x *Index) walk(ctx context.Context, buckets []dht.Bucket) iter.Seq2[offer.Found, error] {
	return func(yield func(offer.Found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type item struct {
			offer offer.Opened
			err   error
		}
		items := make(chan item)
		send := func(i item) {
			select {
			case items <- i:
			case <-ctx.Done():
			}
		}
		go func() {
			defer close(items)
			each(parallelWalks, buckets, func(b dht.Bucket) {
				err := x.read(ctx, b, func(o offer.Opened) { send(item{offer: o}) })
				if err != nil {
					send(item{err: fmt.Errorf("reading bucket %s: %w", b, err)})
				}
			})
		}()
		newest := map[lease.Principal]uint64{}
		for i := range items {
			if i.err != nil {
				if !yield(offer.Found{}, i.err) {
					return
				}
				continue
			}
			seen, known := newest[i.offer.Node]
			if known && seen >= i.offer.Sequence || !known && len(newest) == maxFound {
				continue
			}
			newest[i.offer.Node] = i.offer.Sequence
			if !yield(offer.NewFound(i.offer, offer.DHT, x.cfg.Now()), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(offer.Found{}, fmt.Errorf("walking the index: %w", err))
		}
	}
}

// plan samples sizes where that can change the choice.
func (x *Index) plan(ctx context.Context, q offer.Query) dht.Plan {
	plans := dht.Plans(q)
	each(parallelWalks, dht.Sample(plans), func(b dht.Bucket) {
		k := b.Key()
		peers, err := x.cfg.Router.Closest(ctx, k[:])
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		each(quorum, peers[:min(quorum, len(peers))], func(p peer.AddrInfo) {
			if resp, err := x.ask(ctx, p, dht.Request{Op: dht.OpList, Buckets: []dht.Key{k}}); err == nil {
				x.learn(b, int(resp.Size))
				cancel() // one answer is a sample
			}
		})
	})
	return dht.Choose(plans, func(b dht.Bucket) (int, bool) {
		x.mu.Lock()
		defer x.mu.Unlock()
		n, ok := x.sizes[b]
		return n, ok
	})
}

func (x *Index) learn(b dht.Bucket, size int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.sizes[b]; !ok && len(x.sizes) >= maxFound {
		clear(x.sizes) // only a memory of guesses
	}
	x.sizes[b] = size
}

// read asks the holders of a bucket at once. After a quorum of answers the rest
// get linger; a bucket that nobody answers for is an error.
func (x *Index) read(ctx context.Context, b dht.Bucket, found func(offer.Opened)) error {
	key := b.Key()
	answered := 0
	if x.cfg.Serve { // the node may be among the closest, and its router does not say so
		x.pages(func(req dht.Request) (dht.Response, error) { return x.local(req, netip.Addr{}), nil }, key, found)
	}
	peers, err := x.cfg.Router.Closest(ctx, key[:])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	peers = peers[:min(replicas, len(peers))]
	enough := min(quorum, (len(peers)+1)/2) // in a small net one dead peer must not be waited for either
	var mu sync.Mutex
	var late *time.Timer
	each(replicas, peers, func(p peer.AddrInfo) {
		size, err := x.pages(func(req dht.Request) (dht.Response, error) { return x.ask(ctx, p, req) }, key, found)
		if err != nil {
			return // dead, slow or wrong: others answer
		}
		x.learn(b, size)
		mu.Lock()
		defer mu.Unlock()
		if answered++; answered == enough {
			late = time.AfterFunc(linger, cancel)
		}
	})
	if late != nil {
		late.Stop()
	}
	if answered == 0 && !x.cfg.Serve {
		return ErrNoHolder
	}
	return nil
}

// pages reads one holder's bucket and reports the offers that open and hold.
func (x *Index) pages(ask func(dht.Request) (dht.Response, error), key dht.Key, found func(offer.Opened)) (size int, err error) {
	req := dht.Request{Op: dht.OpList, Buckets: []dht.Key{key}, Limit: dht.PageEntries}
	for range maxPages {
		resp, err := ask(req)
		if err != nil {
			return 0, err
		}
		size = int(resp.Size)
		for _, b := range resp.Offers {
			o, err := offer.Open(b, x.cfg.Holder.Check)
			if err == nil && o.Fresh(x.cfg.Now()) == nil {
				found(o)
			}
		}
		if resp.After.IsZero() {
			break
		}
		req.After = resp.After
	}
	return size, nil
}
