// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/dht"
	"croft/lease/offer"
)

// Protocol is the stream protocol's id.
const Protocol protocol.ID = "/croft/index/1"

// Router finds the peers closest to a key, nearest first, this one not among
// them. Package dht/kad has one.
type Router interface {
	Closest(ctx context.Context, key []byte) ([]peer.AddrInfo, error)
}

// Config is fixed for the life of an Index.
type Config struct {
	Host   host.Host
	Router Router
	Now    func() time.Time
	Serve  bool // hold buckets for others; a visitor does not
	Holder dht.HolderConfig
	Log    *slog.Logger // nil is silent
}

// Index is this node's part of the index: as a holder, and as one who asks.
type Index struct {
	cfg    Config
	served chan struct{} // a slot for each inbound request

	mu     sync.Mutex // guards what follows
	holder *dht.Holder
	sizes  map[dht.Bucket]int // as last heard, for the planner
	placed map[peer.ID]placed // who holds the node's own offer
	refuse map[string]uint64  // requests not served, by reason
}

type placed struct {
	info peer.AddrInfo
	keys []dht.Key
}

// New starts serving, if that is asked for, and is ready to ask.
func New(cfg Config) (*Index, error) {
	if cfg.Host == nil || cfg.Router == nil || cfg.Now == nil {
		return nil, fmt.Errorf("starting the index: host, router and clock are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	x := &Index{
		cfg: cfg, served: make(chan struct{}, maxServed), holder: dht.NewHolder(cfg.Holder),
		sizes: map[dht.Bucket]int{}, placed: map[peer.ID]placed{}, refuse: map[string]uint64{},
	}
	if cfg.Serve {
		cfg.Host.SetStreamHandler(Protocol, x.serve)
	}
	return x, nil
}

// Close stops serving. What others hold of the node stays until it expires: see
// Withdraw.
func (x *Index) Close() error {
	if x.cfg.Serve {
		x.cfg.Host.RemoveStreamHandler(Protocol)
	}
	return nil
}

// Stats is what `croft net` shows.
type Stats struct {
	Entries int               `json:"entries"` // bucket entries held for others
	Holders int               `json:"holders"` // peers that hold this node's offer
	Refused map[string]uint64 `json:"refused"` // inbound requests not served, by reason
}

// Stats returns a copy of the counters.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := Stats{Entries: x.holder.Entries(), Holders: len(x.placed), Refused: map[string]uint64{}}
	for k, v := range x.refuse {
		s.Refused[k] = v
	}
	return s
}

// local applies a request to the node's own holder.
func (x *Index) local(req dht.Request, from netip.Addr) dht.Response {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.holder.Step(x.cfg.Now(), req.Input(from)) {
		if answer, ok := e.(dht.Answer); ok {
			return answer.Response
		}
	}
	return dht.Response{}
}

func (x *Index) count(reason string) {
	x.mu.Lock()
	x.refuse[reason]++
	x.mu.Unlock()
}

// Find answers a request from the index alone.
func (x *Index) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	found, err := x.Candidates(ctx, q)
	if err != nil && len(found) == 0 {
		return offer.Result{}, err
	}
	return offer.Answer(q, found, offer.Options{Salt: []byte(x.cfg.Host.ID())}), nil
}

// Candidates walks to the end and returns the newest offer of each node found,
// whether it matches or not, for merging with other sources. If none matches it
// reads the bucket of every node too, so that the answer can say what each
// constraint removed. With an error it returns what was found nevertheless.
func (x *Index) Candidates(ctx context.Context, q offer.Query) ([]offer.Found, error) {
	var found []offer.Found
	var last error
	collect := func(walk iter.Seq2[offer.Found, error]) []offer.Found {
		for f, err := range walk {
			if err != nil {
				last = err
				continue
			}
			found = append(found, f)
		}
		found = offer.Merge(x.cfg.Now(), found)
		return found
	}
	plan := x.plan(ctx, q)
	for _, f := range collect(x.walk(ctx, plan.Buckets)) {
		if possible(q, &f.Offer) {
			return found, last
		}
	}
	if plan.Buckets[0] != dht.Every {
		collect(x.walk(ctx, []dht.Bucket{dht.Every}))
	}
	return found, last
}

// possible reports whether an offer matches as far as the offer itself tells:
// round trips are the seeker's to measure.
func possible(q offer.Query, o *offer.Offer) bool {
	return !slices.ContainsFunc(q.Constraints, func(c offer.Constraint) bool {
		return c.Attr != "rtt" && !c.Holds(o, offer.Measured{})
	})
}
