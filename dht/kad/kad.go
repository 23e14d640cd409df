// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	kaddht "github.com/libp2p/go-libp2p-kad-dht"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	kb "github.com/libp2p/go-libp2p-kbucket"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/dht"
	"croft/lease"
)

// Prefix keeps our routing apart from every other network's.
const Prefix = "/croft"

// protocolID is what kad-dht makes of it.
const protocolID protocol.ID = Prefix + "/kad/1.0.0"

// Config is fixed for the life of a DHT.
type Config struct {
	// Server answers others' look-ups, until it turns out that they cannot reach
	// this host; a visitor leaves it false.
	Server bool
	// Addresses keeps those of a peer's addresses that this profile may dial and
	// pass on; nil keeps all. See [Public].
	Addresses func([]ma.Multiaddr) []ma.Multiaddr
	// Refresh is how often the table is refreshed; 0 is 30 minutes, below 0 is
	// never.
	Refresh time.Duration
	// Now is the clock by which records lapse; nil is the machine's.
	Now func() time.Time
}

// DHT is this node's place in the overlay.
type DHT struct {
	host      host.Host
	dht       *kaddht.IpfsDHT
	messenger *pb.ProtocolMessenger
	store     *records.ValueStore // the same values that dht serves
	keep      func([]ma.Multiaddr) []ma.Multiaddr
	now       func() time.Time

	life   context.Context // of requests, which outlive the walk that they were for
	cancel context.CancelFunc
	asking sync.WaitGroup
	joined chan struct{} // capacity of one: the table has just been begun

	mu         sync.Mutex // guards what follows
	closed     bool
	inFlight   int
	asked      map[peer.ID]int      // how many of those are to a peer
	admissions int                  // questions under way to those who came by themselves
	comers     map[netip.Prefix]int // these by network
	failed     map[peer.ID]time.Time
	blank      map[peer.ID]bool // comers who named nobody, to be asked once more
	patience   dht.Patience
	density    dht.Density
	near       int // of whom has so many bits in common with this node, everybody is known
	size       int // of the table when that was found
	stats      Stats
}

// New starts routing on a host.
func New(h host.Host, cfg Config) (*DHT, error) {
	keep := cfg.Addresses
	if keep == nil {
		keep = func(a []ma.Multiaddr) []ma.Multiaddr { return a }
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	mode := kaddht.ModeClient
	if cfg.Server {
		mode = kaddht.ModeAutoServer
	}
	kept, check := newValues(MaxValues), record.NamespacedValidator{dht.RecordSpace: validator{now}}
	options := []kaddht.Option{
		kaddht.ProtocolPrefix(Prefix), kaddht.Mode(mode),
		kaddht.Validator(check), kaddht.ValueDatastore(kept), kaddht.MaxRecordAge(maxRecordAge),
		kaddht.DisableProviders(), kaddht.DisableAutoRefresh(), kaddht.WithCustomMessageSender(NewSender),
		kaddht.LookupCheckConcurrency(0), // see admit.go
		kaddht.AddressFilter(keep),
		kaddht.QueryFilter(func(_ any, ai peer.AddrInfo) bool { return len(keep(ai.Addrs)) > 0 }),
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = refreshEvery
	}
	if cfg.Refresh > 0 {
		options = append(options, kaddht.RoutingTableRefreshPeriod(cfg.Refresh))
	}
	come, err := admissions(h) // before anybody does
	if err != nil {
		return nil, fmt.Errorf("starting the DHT: %w", err)
	}
	router, err := kaddht.New(h, options...)
	if err != nil {
		return nil, fmt.Errorf("starting the DHT: %w", errors.Join(err, come.Close()))
	}
	messenger, err := pb.NewProtocolMessenger(router.MessageSender())
	if err != nil {
		return nil, fmt.Errorf("starting the DHT: %w", errors.Join(err, router.Close(), come.Close()))
	}
	d := &DHT{host: h, dht: router, messenger: messenger, store: records.NewValueStore(kept, check, maxRecordAge), keep: keep, now: now, joined: make(chan struct{}, 1), asked: map[peer.ID]int{}, comers: map[netip.Prefix]int{}, failed: map[peer.ID]time.Time{}, blank: map[peer.ID]bool{}}
	d.life, d.cancel = context.WithCancel(context.Background())
	d.asking.Go(func() { d.admitting(come) })
	if cfg.Refresh > 0 {
		d.asking.Go(func() { d.refresh(cfg.Refresh) })
	}
	return d, nil
}

// Public keeps addresses that the internet routes.
func Public(addrs []ma.Multiaddr) []ma.Multiaddr {
	return ma.FilterAddrs(addrs, manet.IsPublicAddr)
}

// Join connects to peers, a list at a time in the order given, until one list
// yields a peer that routes; then it looks up itself, so that its neighbours learn of
// it. It returns how many were reached, and ErrAlone when none was.
func (d *DHT) Join(ctx context.Context, lists ...[]peer.AddrInfo) (int, error) {
	var errs []error
	for _, list := range lists {
		n, err := d.connect(ctx, list)
		if n > 0 && d.routes(ctx) {
			d.itself(ctx)
			select {
			case d.joined <- struct{}{}:
			default:
			}
			return n, nil
		}
		errs = append(errs, err)
	}
	return 0, fmt.Errorf("joining: %w", errors.Join(append([]error{ErrAlone}, errs...)...))
}

// routes waits until somebody is in the routing table: a peer gets there when
// identify has shown that it answers look-ups, which is after it connected.
func (d *DHT) routes(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	d.admitConnected()
	for d.Size() == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false // only visitors, or another network's nodes
		}
	}
	return true
}

func (d *DHT) connect(ctx context.Context, list []peer.AddrInfo) (reached int, err error) {
	if len(list) > MaxRemembered {
		list = list[:MaxRemembered]
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs []error
	slots := make(chan struct{}, parallelDials)
	for _, ai := range list {
		if ai.ID == d.host.ID() {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			mu.Lock()
			over := reached >= enough
			mu.Unlock()
			if over {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			err := d.host.Connect(ctx, ai)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			reached++
		})
	}
	wg.Wait()
	return reached, errors.Join(errs...)
}

// Closest walks towards a key and returns the n peers nearest to it that answer,
// nearest first, this one never among them; n is at most dht.LookupClosest. A walk that takes too long is cut,
// and filled up from the routing table, as one is that nobody answers: the answer
// is then a guess, not an error.
func (d *DHT) Closest(ctx context.Context, key []byte, n int) ([]peer.AddrInfo, error) {
	found, _, err := d.closest(ctx, dht.LookupConfig{Closest: n}, string(key))
	return found, err
}

// Homes does the same for one who registers something at those n peers: slower, with
// fewer requests, and with fewer still when before are those that it found the last time
// (see [dht.LookupConfig]). Of these it asks also whom it is not connected to: they may
// be gone, and a connection to who is gone ends within half a minute. It says when it was
// cut, and so is in part a guess.
func (d *DHT) Homes(ctx context.Context, key []byte, n int, before []peer.AddrInfo) (found []peer.AddrInfo, cut bool, err error) {
	return d.closest(ctx, dht.LookupConfig{Closest: n, Calm: true}, string(key), before...)
}

func (d *DHT) closest(ctx context.Context, cfg dht.LookupConfig, key string, before ...peer.AddrInfo) (found []peer.AddrInfo, cut bool, err error) {
	w, err := d.walk(ctx, cfg, key, d.nodes(key), nil, before...)
	if err != nil {
		return nil, false, fmt.Errorf("looking up: %w", err)
	}
	ids := w.closest
	if w.cut || len(ids) == 0 {
		ids = append(ids, d.dht.RoutingTable().NearestPeers(kb.ConvertKey(key), cfg.Closest)...)
	}
	seen := map[peer.ID]bool{d.host.ID(): true}
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			found = append(found, peer.AddrInfo{ID: id, Addrs: d.keep(d.host.Peerstore().Addrs(id))})
		}
	}
	if len(found) == 0 {
		return nil, false, fmt.Errorf("looking up: %w", ErrAlone)
	}
	return found, w.cut || len(w.closest) == 0, nil
}

// FindNode returns where a node is to be reached.
func (d *DHT) FindNode(ctx context.Context, node lease.Principal) (peer.AddrInfo, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(node[:])
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("finding node %s: %w", node.Short(), err)
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("finding node %s: %w", node.Short(), err)
	}
	connected := func() bool { return d.host.Network().Connectedness(id) == network.Connected }
	if !connected() {
		w, err := d.walk(ctx, dht.LookupConfig{}, string(id), d.nodes(string(id)), connected)
		if err == nil && !w.target && !connected() {
			err = routing.ErrNotFound
		}
		if err != nil {
			return peer.AddrInfo{}, fmt.Errorf("finding node %s: %w", node.Short(), err)
		}
	}
	return peer.AddrInfo{ID: id, Addrs: d.keep(d.host.Peerstore().Addrs(id))}, nil
}

// Remember returns up to MaxRemembered peers to join through next time: those of
// the routing table that are connected now.
func (d *DHT) Remember() []peer.AddrInfo {
	var all []peer.AddrInfo
	for _, id := range d.dht.RoutingTable().ListPeers() {
		if d.host.Network().Connectedness(id) != network.Connected {
			continue
		}
		if addrs := d.keep(d.host.Peerstore().Addrs(id)); len(addrs) > 0 {
			all = append(all, peer.AddrInfo{ID: id, Addrs: addrs})
		}
		if len(all) == MaxRemembered {
			break
		}
	}
	return all
}

// Neighbours is the number of connected peers that answer look-ups.
func (d *DHT) Neighbours() (n int) {
	for _, id := range d.dht.RoutingTable().ListPeers() {
		if d.host.Network().Connectedness(id) == network.Connected {
			n++
		}
	}
	return n
}

// HasNeighbour reports whether there is one of those: the first that is found will do.
func (d *DHT) HasNeighbour() bool {
	return slices.ContainsFunc(d.host.Network().Peers(), func(id peer.ID) bool {
		return d.host.Network().Connectedness(id) == network.Connected && d.dht.RoutingTable().Find(id) != ""
	})
}

// Size returns the number of peers in the routing table.
func (d *DHT) Size() int { return d.dht.RoutingTable().Size() }

// Nodes estimates how many nodes route, from look-ups; 0 before there were enough.
func (d *DHT) Nodes() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.density.Nodes()
}

// Close stops routing; the host stays.
func (d *DHT) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.asking.Wait()
	return d.dht.Close()
}
