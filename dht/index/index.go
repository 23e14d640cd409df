// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
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

// Router finds the n peers closest to a key, nearest first, this one not among
// them. Package dht/kad has one.
type Router interface {
	Closest(ctx context.Context, key []byte, n int) ([]peer.AddrInfo, error)
	// Confirm reports whether peers that Closest returned are still the closest, for
	// less than another look-up.
	Confirm(ctx context.Context, key []byte, known []peer.AddrInfo) bool
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
	cfg  Config
	self string // salts the choice among equals
	ask  asker  // over a stream; a test has a shorter way

	mu      sync.Mutex // guards what follows
	holder  *dht.Holder
	serving map[netip.Prefix]int        // inbound requests under way, by their network
	sizes   map[dht.Bucket]size         // as last heard, for the planner
	placed  map[peer.ID]placed          // who may hold the node's own offer
	homes   map[dht.Key][]peer.AddrInfo // the closest to each of its buckets
	refuse  map[string]uint64           // requests not served, by reason
	ignored map[Ignored]uint64          // of what holders said
}

// asker sends one request to a peer and reads its response.
type asker func(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error)

type size struct {
	offers int
	at     time.Time
}

// New starts serving, if that is asked for, and is ready to ask.
func New(cfg Config) (*Index, error) {
	if cfg.Host == nil || cfg.Router == nil || cfg.Now == nil {
		return nil, fmt.Errorf("starting the index: host, router and clock are needed")
	}
	x := newIndex(cfg, string(cfg.Host.ID()))
	x.ask = x.askStream
	if cfg.Serve {
		cfg.Host.SetStreamHandler(Protocol, x.serve)
	}
	return x, nil
}

func newIndex(cfg Config, self string) *Index {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Holder.PerBucket <= 0 {
		cfg.Holder.PerBucket = dht.MaxEntries
	}
	return &Index{
		cfg: cfg, self: self, serving: map[netip.Prefix]int{}, holder: dht.NewHolder(cfg.Holder),
		sizes: map[dht.Bucket]size{}, placed: map[peer.ID]placed{}, homes: map[dht.Key][]peer.AddrInfo{}, refuse: map[string]uint64{}, ignored: map[Ignored]uint64{},
	}
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
	Entries int                `json:"entries"` // bucket entries held for others
	Holders int                `json:"holders"` // peers that hold this node's offer
	Refused map[string]uint64  `json:"refused"` // inbound requests not served, by reason
	Ignored map[Ignored]uint64 `json:"ignored"` // of what holders answered, by reason
}

// Ignored is why something that a holder said was of no use.
type Ignored string

const (
	Unreadable Ignored = "unreadable" // an offer that does not open: forged, or of the wrong size
	Alien      Ignored = "alien"      // an offer that does not belong into the bucket
	Lapsed     Ignored = "lapsed"     // an offer that does not hold, not any more or not yet
	Older      Ignored = "older"      // an offer of which a newer one is known
	Disordered Ignored = "disordered" // a page that is not behind its cursor; its holder is read no further
	Unproved   Ignored = "unproved"   // a split that was neither shown nor confirmed
	Silent     Ignored = "silent"     // no answer, or none that the protocol allows
	Excess     Ignored = "excess"     // beyond the bounds of one search: pages, buckets, nodes
)

// Stats returns a copy of the counters.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := Stats{Entries: x.holder.Entries(), Refused: maps.Clone(x.refuse), Ignored: maps.Clone(x.ignored)}
	for _, p := range x.placed {
		if len(p.stored) > 0 {
			s.Holders++
		}
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

func (x *Index) ignore(why Ignored, n int) {
	if n > 0 {
		x.mu.Lock()
		x.ignored[why] += uint64(n)
		x.mu.Unlock()
	}
}

// Find answers a request from the index alone.
func (x *Index) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	var found []offer.Found
	var last error
	for f, err := range x.Walk(ctx, Search{Query: q, Reasons: req.Explain}) {
		if err != nil {
			last = err
			continue
		}
		found = append(found, f)
	}
	if len(found) == 0 && last != nil {
		return offer.Result{}, last
	}
	return offer.Answer(q, offer.Merge(x.cfg.Now(), found), offer.Options{Salt: []byte(x.self)}), nil
}
