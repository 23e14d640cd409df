// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	"croft/lease"
	"croft/sandbox/swarm"
)

// Protocol is that of questions about blobs.
const Protocol protocol.ID = "/croft/image/1"

// Store is where blobs are: image.Store.
type Store interface {
	// Adopt has pieces be judged by sums, and returns those that are there.
	Adopt(ctx context.Context, d lease.Digest, size int64, sums swarm.Sums) (swarm.Set, error)
	// Put adds a piece, or fails with swarm.ErrPiece; with swarm.ErrSums if those that it
	// adopted hold no longer.
	Put(d lease.Digest, i int, piece []byte) error
	Finish(ctx context.Context, d lease.Digest) error
	// Holding, SumsOf and Piece are for other nodes.
	Holding(d lease.Digest) (swarm.Holding, bool)
	SumsOf(d lease.Digest) (swarm.Sums, error)
	Piece(d lease.Digest, i int, buf []byte) ([]byte, error)
	// Changed is closed when there is more of a blob that is arriving, or less; nil
	// for any other.
	Changed(d lease.Digest) <-chan struct{}
}

// Config says how an exchange is joined to its node.
type Config struct {
	Host  host.Host
	Self  lease.Principal
	Store Store
	Rate  float64 // bytes/s to others, all together; 0: nothing is served
	Log   *slog.Logger

	// Locate puts what is known of a node's addresses where the host looks; nil: they
	// are there.
	Locate func(ctx context.Context, node lease.Principal)
}

// Exchange is a node's part in the swarm.
type Exchange struct {
	cfg   Config
	rate  *rate.Limiter
	trace *trace

	mu      sync.Mutex
	wait    sync.WaitGroup
	waiting *slots[lease.Principal]
	serving *slots[lease.Principal]

	networks *slots[netip.Prefix] // of those that are served
	fetches  map[lease.Digest]bool
	counts   Counts
	ctx      context.Context // ends when it closes
	stop     context.CancelFunc
}

// Counts are what an exchange did, by outcome.
type Counts struct {
	Sent, Received uint64 // bytes: of answers, and of pieces
	Denied         uint64 // pieces that others refused to send
	Refused        map[string]uint64
	Failed         map[string]uint64 // of what was asked of others, by reason
}

// New serves until Close.
func New(cfg Config) *Exchange {
	x := &Exchange{cfg: cfg, rate: rate.NewLimiter(rate.Limit(cfg.Rate), rateBurst), trace: newTrace(),
		serving: newSlots[lease.Principal](servingSlots(cfg.Rate), maxServingEach), waiting: newSlots[lease.Principal](maxWaiting, maxWaitingEach),
		networks: newSlots[netip.Prefix](servingSlots(cfg.Rate), max(servingSlots(cfg.Rate)/2, 1)), fetches: map[lease.Digest]bool{},
		counts: Counts{Refused: map[string]uint64{}, Failed: map[string]uint64{}}}
	if cfg.Log == nil {
		x.cfg.Log = slog.New(slog.DiscardHandler)
	}
	x.ctx, x.stop = context.WithCancel(context.Background())
	if cfg.Rate > 0 {
		cfg.Host.SetStreamHandler(Protocol, x.serve)
	}
	return x
}

// Close ends what is under way.
func (x *Exchange) Close() error {
	x.cfg.Host.RemoveStreamHandler(Protocol)
	x.mu.Lock()
	x.stop()
	x.mu.Unlock()
	x.wait.Wait()
	return nil
}

// Counts returns what was done so far.
func (x *Exchange) Counts() Counts {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.counts
	c.Refused, c.Failed = maps.Clone(c.Refused), maps.Clone(c.Failed)
	return c
}

// Known are nodes that asked this one for a blob lately, the latest first.
func (x *Exchange) Known(d lease.Digest) []lease.Principal { return x.trace.of(d, x.cfg.Self) }

func (x *Exchange) count(in func(*Counts)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	in(&x.counts)
}

// peerOf is the libp2p name of a node.
func peerOf(p lease.Principal) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err != nil {
		return "", fmt.Errorf("naming node %s: %w", p.Short(), err)
	}
	return peer.IDFromPublicKey(key)
}

// nodeOf is the node of a libp2p name; false for a key of another kind.
func nodeOf(id peer.ID) (p lease.Principal, ok bool) {
	key, err := id.ExtractPublicKey()
	if err != nil || key.Type() != crypto.Ed25519 {
		return p, false
	}
	raw, err := key.Raw()
	if err != nil || len(raw) != len(p) {
		return p, false
	}
	return lease.Principal(raw), true
}
