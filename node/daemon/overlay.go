// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
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
	"croft/sandbox/swarm/stream"
)

const findLimit = 10 * time.Second

// overlay is this node's place among the others: routing, index, gossip, pipes.
type overlay struct {
	host    host.Host
	wired   *wire.Host // the same, with how others reach it; nil: it is not this machine's
	first   *firstContact
	dht     *kad.DHT
	index   *index.Index
	gossip  *pubsub.Gossip // nil: a visitor keeps no view
	carrier *pubsub.Gossip // the same, or what a visitor has of it: the topics of slices
	pipes   *wire.Listener
	ctx     context.Context // ends when the node closes
	offers  chan offer.Opened
	heard   [2]chan struct{} // capacity of one: the proofs of broken promises, of forks, may be others
	kept    chan struct{}    // closed when the index registers no more
	built   chan struct{}    // closed when all of this is set
	keep    func([]multiaddr.Multiaddr) []multiaddr.Multiaddr
	now     func() time.Time
	log     *slog.Logger

	lookout
	traffic *traffic
}

// newOverlay is one without a host yet.
func newOverlay(cfg Config, deps *Deps) *overlay {
	return &overlay{offers: make(chan offer.Opened, 1), heard: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}, kept: make(chan struct{}), built: make(chan struct{}), now: deps.Clock.Wall, log: deps.Log, keep: filterFor(cfg.Profile), traffic: newTraffic()}
}

// listen makes the overlay's host, this machine's own.
func (n *Node) listen(o *overlay, cfg Config, deps *Deps) (err error) {
	if o.wired, err = wire.NewHost(o.hostConfig(cfg, deps)); err != nil {
		return fmt.Errorf("%w: listening: %w", ErrConfig, err)
	}
	o.host = o.wired.Host
	n.open.add(o.wired.Close)
	return nil
}

// join makes everything on the overlay's host, and keeps looking for neighbours
// until there are some.
func (n *Node) join(ctx context.Context, cfg Config, deps *Deps, o *overlay) error {
	now := deps.Clock.Wall
	var err error
	full := !cfg.Visitor
	if o.dht, err = kad.New(o.host, kad.Config{Server: full, Addresses: o.keep, Now: now}); err != nil {
		return err
	}
	n.open.add(o.dht.Close)
	o.lookout = newLookout(o)
	o.position = position(cfg)
	n.open.add(o.prober.Close)
	holder := dht.HolderConfig{Check: checkSite, Open: deps.OpenRegistered}
	if cfg.Profile == ProfileLab {
		holder.PerNetwork, holder.PerSite = dht.MaxEntries, dht.MaxEntries
	}
	o.index, err = index.New(index.Config{Host: o.host, Router: o.dht, Now: now, Serve: full, Holder: holder, Log: deps.Log})
	if err != nil {
		return err
	}
	n.open.add(o.index.Close)
	carried := pubsub.Config{Host: o.host, Now: now, Log: deps.Log, Slices: o.sliceTopics(cfg, deps.Key), Light: !full}
	if full {
		var guard ebpf.Guard
		if deps.Hosting != nil {
			guard = deps.Hosting.Guard
		}
		if deps.OptOuts, err = openOptOuts(ctx, cfg.State, now, guard, deps.Log); err != nil {
			return err
		}
		n.open.add(deps.OptOuts.close)
		carried.View, carried.OnEffect, carried.ReadFork, carried.OptOuts = gossip.ViewConfig{Check: checkSite, Open: deps.OpenOffer}, o.effect, ReadFork, deps.OptOuts
		carried.Liveness, carried.Retell = o.watching(cfg, deps), o.renew
	}
	if o.carrier, err = pubsub.New(carried); err != nil {
		return err
	}
	n.open.add(o.carrier.Close)
	deps.Topics = topics{o.carrier.Slices}
	if full {
		o.gossip = o.carrier
		deps.Presence = presence{o.gossip.Liveness, o.suspected}
		deps.Rumours, deps.Forks = rumours{o.gossip.Conflicts, o.heard[0]}, rumours{o.gossip.Forks, o.heard[1]}
		o.watch(cfg, deps)
	}
	if deps.Hosting != nil {
		if store, ok := deps.Hosting.Blobs.(stream.Store); ok {
			x := stream.New(stream.Config{Host: o.host, Self: deps.Key.Principal(), Store: store, Rate: float64(cfg.Bounds.Images) / 8, Log: deps.Log,
				Locate: func(ctx context.Context, node lease.Principal) {
					if id, err := wire.PeerID(node); err == nil {
						o.locate(ctx, id, node)
					}
				}})
			deps.Hosting.Swarm = x
			n.open.add(x.Close)
		}
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
	if o.first, err = newFirstContact(o, cfg); err != nil {
		return err
	}
	n.open.add(func() error { o.host.RemoveStreamHandler(ContactsProtocol); return nil })
	close(o.built)
	wg.Go(func() { o.first.run(run) })
	wg.Go(func() { o.traffic.run(run, o.connected) })
	deps.Discovery, deps.Gossip, deps.Wire, deps.Slices, deps.Overlay = o.builtin(), o, o, o.dht, o
	deps.Seeker, deps.View, deps.Paths = seeker{o}, o.present, paths{o}
	deps.Measures, deps.Whereabouts, deps.Contacts, deps.Footing = o, o, o.first, o.first
	if o.wired == nil {
		return nil // a host of somebody else's: what is around it he knows
	}
	deps.Reach = o
	if service := mdns.NewMdnsService(o.host, "_croft._udp", o.first); service.Start() == nil {
		n.open.add(service.Close)
	}
	return nil
}

// watch joins the addresses that opted out to gossip, to the nodes that are seen,
// and to the courtesy page.
func (o *overlay) watch(cfg Config, deps *Deps) {
	out := deps.OptOuts
	out.tell = o.gossip.OptOut
	out.sights = &sightings{self: deps.Key.Principal(), public: cfg.Profile == ProfilePublic, offers: o.live, conns: o.seen, ask: askPresence,
		wall: deps.Clock.Wall, tell: func(nodes []optout.Node) { out.step(optout.Known{Nodes: nodes}) },
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

// seen are the addresses at the other end of open connections, by node.
func (o *overlay) seen() map[lease.Principal][]netip.Addr {
	addrs := map[lease.Principal][]netip.Addr{}
	for _, c := range o.host.Network().Conns() {
		p, err := wire.Principal(c.RemotePeer())
		if err != nil {
			continue // with a key of another kind it is no node of ours
		}
		remote := c.RemoteMultiaddr().String()
		if a, ok := wire.IP(remote); ok && !strings.Contains(remote, "/p2p-circuit") {
			addrs[p] = append(addrs[p], a)
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

// live is the same, for who goes through all of it again and again: the offers are not
// to be changed.
func (o *overlay) live() []*offer.Opened {
	if o.gossip == nil {
		return nil
	}
	return o.gossip.Live()
}

// present are those of nodes that are there.
func (o *overlay) present() []*offer.Opened {
	return slices.DeleteFunc(o.live(), func(f *offer.Opened) bool { return !o.here(&f.Offer) })
}

// Known is the number of offers in the view.
func (o *overlay) Known() int { return len(o.live()) }

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
	if o.gossip != nil {
		if told, ok := o.gossip.Offer(to); ok {
			o.host.Peerstore().AddAddrs(id, o.claimed(told.Addrs), offerValid)
			return
		}
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
