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
	// Homes does the same for one who registers, slower and for less; before are those
	// that it found the last time, if there are. Cut says that time ran out, and that the
	// answer is in part a guess.
	Homes(ctx context.Context, key []byte, n int, before []peer.AddrInfo) (found []peer.AddrInfo, cut bool, err error)
	// Nodes is how many there are, as an estimate; 0 where there is none yet.
	Nodes() float64
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
	self string  // salts the choice among equals
	at   dht.Key // where the node lies
	ask  asker   // over a stream; a test has a shorter way

	mu      sync.Mutex // guards what follows
	holder  *dht.Holder
	serving map[netip.Prefix]int      // inbound requests under way, by their network
	sizes   dht.Sizes                 // as last heard, for the planner
	told    dht.Told                  // with whom the node's own offer is
	infos   map[dht.Key]peer.AddrInfo // of these
	refuse  map[string]uint64         // requests not served, by reason
	ignored map[dht.Ignored]uint64
}

// asker sends one request to a peer and reads its response.
type asker func(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error)

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
		cfg: cfg, self: self, at: place(peer.ID(self)), serving: map[netip.Prefix]int{}, holder: dht.NewHolder(cfg.Holder),
		refuse: map[string]uint64{}, ignored: map[dht.Ignored]uint64{},
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
	Entries int                    `json:"entries"` // bucket entries held for others
	Holders int                    `json:"holders"` // peers that hold this node's offer
	Refused map[string]uint64      `json:"refused"` // inbound requests not served, by reason
	Ignored map[dht.Ignored]uint64 `json:"ignored"` // of what holders answered, by reason
}

// Stats returns a copy of the counters.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := Stats{Entries: x.holder.Entries(), Refused: maps.Clone(x.refuse), Ignored: maps.Clone(x.ignored)}
	for _, p := range x.told.Asked {
		if len(p.Stored) > 0 {
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

func (x *Index) ignore(counted map[dht.Ignored]uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for why, n := range counted {
		x.ignored[why] += n
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
