// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"iter"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease"
	"croft/lease/offer"
)

// Search is what one walk over the index is for: see [dht.SearchConfig].
type Search struct {
	Query   offer.Query
	Reasons bool
	From    lease.Principal
}

// Walk yields the offers of the buckets that serve the query best, as holders
// answer, whether they match or not. An offer comes again when a newer one of its
// node turns up, also one that is closed: [offer.Merge] settles it. An error tells
// of a bucket that could not be read; the others go on. Leaving the loop stops the
// walk.
func (x *Index) Walk(ctx context.Context, s Search) iter.Seq2[offer.Found, error] {
	return func(yield func(offer.Found, error) bool) {
		search := dht.NewSearch(dht.SearchConfig{Query: s.Query, Reasons: s.Reasons, From: s.From, At: x.cfg.Now(),
			Self: x.at, Serves: x.cfg.Serve, PerBucket: x.cfg.Holder.PerBucket, Open: x.cfg.Holder.OpenOffer, Size: x.size, Nodes: x.cfg.Router.Nodes})
		defer func() { x.ignore(search.Ignored()) }()
		e := x.errand(map[dht.Key]peer.AddrInfo{})
		err := e.run(ctx, search, func(effect dht.IndexEffect) bool {
			switch effect := effect.(type) {
			case dht.Show:
				return yield(offer.NewFound(*effect.Offer, offer.DHT, x.cfg.Now()), nil)
			case dht.Unread:
				return yield(offer.Found{}, fmt.Errorf("reading bucket %s: %w", effect.Bucket, e.why(effect)))
			case dht.Measured:
				x.learn(effect)
			}
			return true
		})
		if err != nil {
			yield(offer.Found{}, fmt.Errorf("walking the index: %w", err))
		}
	}
}

func (e *errand) why(u dht.Unread) error {
	if err := e.missed[u.Bucket.Key()]; err != nil {
		return err
	}
	return ErrNoHolder
}

// size is how large a bucket was lately.
func (x *Index) size(b dht.Bucket) (int, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sizes.Of(x.cfg.Now(), b)
}

func (x *Index) learn(m dht.Measured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sizes.Learn(x.cfg.Now(), m)
}
