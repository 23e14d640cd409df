// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/multiformats/go-multiaddr"

	"croft/dht"
	"croft/dht/index"
	"croft/dht/kad"
	"croft/ebpf"
	"croft/ebpf/optout"
	"croft/gossip"
	"croft/gossip/pubsub"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/wire"
)

const (
	joinEvery     = 2 * time.Second // between tries while no neighbour is there
	rememberEvery = time.Minute
	findLimit     = 10 * time.Second
	thinLimit     = 2 * time.Second // for the index, when the view knows something already
	fullPage      = 20              // matches that a query without a limit is content with
)

// overlay is this node's place among the others: routing, index, gossip, pipes.
type overlay struct {
	host   host.Host
	dht    *kad.DHT
	index  *index.Index
	gossip *pubsub.Gossip // nil: a visitor keeps no view
	pipes  *wire.Listener
	ctx    context.Context // ends when the node closes
	offers chan offer.Opened
	heard  [2]chan struct{} // capacity of one: the proofs of broken promises, of forks, may be others
	kept   chan struct{}    // closed when the index registers no more
	keep   func([]multiaddr.Multiaddr) []multiaddr.Multiaddr
	log    *slog.Logger

	traffic *traffic
}

// join makes the host and everything on it, and keeps looking for neighbours
// until there are some.
func (n *Node) join(ctx context.Context, cfg Config, deps *Deps) error {
	o := &overlay{offers: make(chan offer.Opened, 1), heard: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}, kept: make(chan struct{}), log: deps.Log, keep: filterFor(cfg.Profile), traffic: newTraffic()}
	var err error
	if o.host, err = wire.NewHost(wire.Config{Key: deps.Key.Private(), Listen: cfg.Listen, UserAgent: "croft/" + Version, Meter: o.traffic.meter}); err != nil {
		return fmt.Errorf("%w: listening: %w", ErrConfig, err)
	}
	n.open.add(o.host.Close)
	full := !cfg.Visitor
	if o.dht, err = kad.New(o.host, kad.Config{Server: full, Addresses: o.keep}); err != nil {
		return err
	}
	n.open.add(o.dht.Close)
	holder := dht.HolderConfig{Check: checkSite}
	if cfg.Profile == ProfileLab {
		holder.PerNetwork, holder.PerSite = dht.MaxEntries, dht.MaxEntries
	}
	o.index, err = index.New(index.Config{Host: o.host, Router: o.dht, Now: time.Now, Serve: full, Holder: holder, Log: deps.Log})
	if err != nil {
		return err
	}
	n.open.add(o.index.Close)
	if full {
		var guard ebpf.Guard
		if deps.Hosting != nil {
			guard = deps.Hosting.Guard
		}
		if deps.OptOuts, err = openOptOuts(ctx, cfg.State, time.Now, guard, deps.Log); err != nil {
			return err
		}
		n.open.add(deps.OptOuts.close)
		if o.gossip, err = pubsub.New(pubsub.Config{Host: o.host, Now: time.Now, Log: deps.Log,
			View: gossip.ViewConfig{Check: checkSite}, OnEffect: o.effect, ReadFork: ReadFork, OptOuts: deps.OptOuts}); err != nil {
			return err
		}
		n.open.add(o.gossip.Close)
		deps.Rumours, deps.Forks = rumours{o.gossip.Conflicts, o.heard[0]}, rumours{o.gossip.Forks, o.heard[1]}
		o.watch(cfg, deps)
	}
	o.pipes = wire.Listen(o.host, deps.Key.Private(), wire.Options{})
	n.open.add(o.pipes.Close)

	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	o.ctx = run
	var wg sync.WaitGroup
	n.open.add(func() error { stop(); wg.Wait(); return nil })
	wg.Go(func() {
		defer close(o.kept)
		o.index.Keep(run, o.offers)
	})
	wg.Go(func() { o.stay(run, cfg) })
	wg.Go(func() { o.traffic.run(run, o.connected) })
	if cfg.Profile != ProfileLab {
		if service := mdns.NewMdnsService(o.host, "_croft._udp", o); service.Start() == nil {
			n.open.add(service.Close)
		}
	}
	deps.Discovery, deps.Gossip, deps.Wire, deps.Slices, deps.Overlay = o, o, o, o.dht, o
	return nil
}

// watch joins the addresses that opted out to gossip, to the nodes that are seen,
// and to the courtesy page.
func (o *overlay) watch(cfg Config, deps *Deps) {
	out := deps.OptOuts
	out.tell = o.gossip.OptOut
	out.sights = &sightings{self: deps.Key.Principal(), public: cfg.Profile == ProfilePublic, offers: o.view, conns: o.seen, ask: askPresence,
		wall: time.Now, tell: func(nodes []optout.Node) { out.step(optout.Known{Nodes: nodes}) },
		doors: map[netip.AddrPort]sight{}, rests: map[netip.Prefix]time.Time{}}
	if cfg.Courtesy != "" {
		deps.Courtesy = func() (net.Listener, error) {
			l, err := net.Listen("tcp", cfg.Courtesy)
			if err != nil {
				return nil, fmt.Errorf("%w: courtesy page: %w", ErrConfig, err)
			}
			return l, nil
		}
	}
}

// seen are the addresses at the other end of connections to a node.
func (o *overlay) seen(p lease.Principal) (addrs []netip.Addr) {
	id, err := wire.PeerID(p)
	if err != nil {
		return nil
	}
	for _, c := range o.host.Network().ConnsToPeer(id) {
		remote := c.RemoteMultiaddr().String()
		if a, ok := wire.IP(remote); ok && !strings.Contains(remote, "/p2p-circuit") {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// checkSite is how an offer's site certificate is judged.
func checkSite(site, node lease.Principal, certificate []byte) error {
	c, err := sign.OpenSite(certificate)
	if err != nil {
		return err
	}
	if c.Site != site {
		return fmt.Errorf("certificate of another site %s: %w", c.Site.Short(), lease.ErrNotHolder)
	}
	return c.Holds(node, time.Now().Unix())
}

func filterFor(p Profile) func([]multiaddr.Multiaddr) []multiaddr.Multiaddr {
	if p == ProfilePublic {
		return kad.Public
	}
	return nil
}

// HandlePeerFound takes a neighbour from the local network.
func (o *overlay) HandlePeerFound(info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(o.ctx, findLimit)
	defer cancel()
	if _, err := o.dht.Join(ctx, []peer.AddrInfo{info}); err != nil {
		o.log.Debug("a neighbour on the local network does not answer", "peer", info.ID, "err", err)
	}
}

// stay joins, joins again whenever no neighbour is left, and remembers whom it
// met for the next start.
func (o *overlay) stay(ctx context.Context, cfg Config) {
	path := filepath.Join(cfg.State, "node", "neighbours.json")
	given := o.parse(cfg.Join)
	remembered := readNeighbours(path)
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	var saved time.Time
	for {
		if o.Peers() == 0 && len(given)+len(remembered) > 0 {
			if _, err := o.dht.Join(ctx, remembered, given); err != nil && ctx.Err() == nil {
				o.log.Info("no neighbour yet, trying again", "err", err)
			}
		}
		if time.Since(saved) > rememberEvery {
			if now := o.dht.Remember(); len(now) > 0 {
				remembered, saved = now, time.Now()
				if err := writeNeighbours(path, now); err != nil {
					o.log.Warn("neighbours are not remembered", "err", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// parse reads --join addresses; each names its peer.
func (o *overlay) parse(addrs []string) []peer.AddrInfo {
	var infos []peer.AddrInfo
	for _, s := range addrs {
		info, err := peer.AddrInfoFromString(s)
		if err != nil {
			o.log.Warn("not an address to join by", "addr", s, "err", err)
			continue
		}
		infos = append(infos, *info)
	}
	return infos
}

func readNeighbours(path string) (infos []peer.AddrInfo) {
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &infos) != nil {
		return nil // a hint that is lost is no loss
	}
	return infos
}

func writeNeighbours(path string, infos []peer.AddrInfo) error {
	b, err := json.Marshal(infos)
	if err != nil {
		return err
	}
	return writeDurably(path, b)
}

// Find answers from the view first, and from the DHT where that is thin or not
// wanted.
func (o *overlay) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	var seen, walked []offer.Found
	if req.View {
		seen = o.view()
	}
	opt := offer.Options{Salt: []byte(o.host.ID())}
	if known := offer.Answer(q, offer.Merge(time.Now(), seen), opt); req.View && known.Matched >= enough(req, q) {
		return known, nil
	} else if known.Matched > 0 {
		ctx, cancel = context.WithTimeout(ctx, thinLimit)
		defer cancel()
	}
	walked, err = o.index.Candidates(ctx, q)
	if err != nil && !(errors.Is(err, kad.ErrAlone) || req.View && len(seen) > 0) {
		return offer.Result{}, fmt.Errorf("asking the index: %w", err)
	}
	return offer.Answer(q, offer.Merge(time.Now(), seen, walked), opt), nil
}

// enough is how many matches make asking the index as well unnecessary.
func enough(req offer.FindRequest, q offer.Query) int {
	switch {
	case req.Enough > 0:
		return req.Enough
	case q.Limit > 0:
		return q.Limit
	}
	return fullPage
}

// Publish tells the neighbours by gossip and the index by registration.
func (o *overlay) Publish(ctx context.Context, opened offer.Opened) error {
	if o.gossip == nil {
		return errVisitor
	}
	select { // only the newest matters
	case <-o.offers:
	default:
	}
	o.offers <- opened
	return o.gossip.Publish(ctx, opened)
}

// Withdraw takes the node's offer back for good: nothing is registered any more
// before the holders are told that there is nothing.
func (o *overlay) Withdraw(ctx context.Context, closed offer.Opened) error {
	if o.gossip == nil {
		return errVisitor
	}
	close(o.offers)
	select {
	case <-o.kept:
	case <-ctx.Done():
		return fmt.Errorf("waiting for a registration to end: %w", ctx.Err())
	}
	err := o.gossip.Publish(ctx, closed)
	_, indexErr := o.index.Withdraw(ctx, closed)
	return errors.Join(err, indexErr)
}

// Tell sends a notice by gossip alone: it is news, and nothing to look up.
func (o *overlay) Tell(ctx context.Context, notice []byte) error {
	if o.gossip == nil {
		return errVisitor
	}
	return o.gossip.Tell(ctx, notice)
}

// rumours are the proofs of one kind, and when to look at them again.
type rumours struct {
	*pubsub.Proofs
	heard chan struct{}
}

// Heard has a value when there may be a new one.
func (r rumours) Heard() <-chan struct{} { return r.heard }

// effect hears what gossip does. It does not wait.
func (o *overlay) effect(e gossip.Effect) {
	switch e.(type) {
	case gossip.Proven, gossip.Forgot:
		for _, heard := range o.heard {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}
}

var errVisitor = errors.New("a visitor offers nothing")

// view is what gossip has told; a visitor was told nothing.
func (o *overlay) view() []offer.Found {
	if o.gossip == nil {
		return nil
	}
	return o.gossip.Offers()
}

// Known is the number of offers in the view.
func (o *overlay) Known() int { return len(o.view()) }

// Pipe opens bytes to a node: its address is known from its offer, from an
// earlier connection, or found on the DHT.
func (o *overlay) Pipe(ctx context.Context, to lease.Principal) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	id, err := wire.PeerID(to)
	if err != nil {
		return nil, err
	}
	if o.host.Network().Connectedness(id) != network.Connected && id != o.host.ID() {
		o.locate(ctx, id, to)
	}
	return o.pipes.Dial(ctx, to)
}

// locate puts what is known of a node's addresses where the host looks for them.
func (o *overlay) locate(ctx context.Context, id peer.ID, to lease.Principal) {
	for _, f := range o.view() {
		if f.Offer.Node != to {
			continue
		}
		for _, s := range f.Offer.Addrs {
			if a, err := multiaddr.NewMultiaddr(s); err == nil {
				o.host.Peerstore().AddAddrs(id, o.dialable(a), offerValid)
			}
		}
		return
	}
	if info, err := o.dht.FindNode(ctx, to); err == nil {
		o.host.Peerstore().AddAddrs(id, info.Addrs, offerValid)
	}
}

// dialable keeps an address that a stranger claims if this profile may dial it.
func (o *overlay) dialable(a multiaddr.Multiaddr) []multiaddr.Multiaddr {
	if o.keep == nil {
		return []multiaddr.Multiaddr{a}
	}
	return o.keep([]multiaddr.Multiaddr{a})
}

// Channels gives the end-to-end channels that callers open to this node.
func (o *overlay) Channels() net.Listener { return o.pipes }

// Addrs are this node's multiaddrs with its peer id.
func (o *overlay) Addrs() []string {
	addrs := o.host.Addrs()
	if o.keep != nil {
		if public := o.keep(addrs); len(public) > 0 {
			addrs = public
		}
	}
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String() + "/p2p/" + o.host.ID().String()
	}
	return out
}

// Peers is the number of connected neighbours.
func (o *overlay) Peers() int { return len(o.host.Network().Peers()) }
