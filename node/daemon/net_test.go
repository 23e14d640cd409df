// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/multiformats/go-multiaddr"

	"croft/gossip"
	"croft/gossip/pubsub"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox/swarm/stream"
)

// netNode is a node as far as its connections and its view go.
func netNode(t *testing.T, name string) *overlay {
	t.Helper()
	o := &overlay{log: slog.New(slog.DiscardHandler), traffic: newTraffic()}
	var err error
	if o.host, err = wire.NewHost(wire.Config{Key: leasetest.Key(name).Private(), Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		UserAgent: "croft/test", Meter: o.traffic.meter}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.host.Close() })
	if o.gossip, err = pubsub.New(pubsub.Config{Host: o.host, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	o.carrier = o.gossip
	t.Cleanup(func() { o.gossip.Close() })
	return o
}

func TestNetAndViewTellWhatThereIs(t *testing.T) {
	a, b := netNode(t, "a"), netNode(t, "b")
	if err := a.host.Connect(t.Context(), peer.AddrInfo{ID: b.host.ID(), Addrs: b.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []*overlay{a, b} {
		eventually(t, "the mesh stands", func() bool { return o.gossip.Stats().Meshes[pubsub.TopicCapacity] == 1 })
	}
	for _, n := range []struct {
		o    *overlay
		name string
	}{{a, "a"}, {b, "b"}} {
		made := &offer.Offer{Node: leasetest.Who(n.name), Sequence: 1, Made: time.Now().Unix(), Name: n.name}
		made.Until = made.Made + offer.MaxValid
		sealed, err := offer.Seal(made, leasetest.Key(n.name))
		if err == nil {
			err = n.o.gossip.Publish(t.Context(), sealed)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "each knows both", func() bool { return a.Known() == 2 && b.Known() == 2 })
	n, err := a.Net(t.Context())
	if err != nil || len(n.Peers) != 1 {
		t.Fatalf("%+v, %v", n.Peers, err)
	}
	p := n.Peers[0]
	if p.Node != leasetest.Who("b") || p.Name != "b" || !p.Direct || p.Inbound || p.RTT <= 0 || p.Agent != "croft/test" || p.In <= 0 || p.Out <= 0 || p.Since.IsZero() {
		t.Errorf("peer %+v", p)
	}
	var capacity api.TopicTraffic
	for _, topic := range n.Topics {
		if topic.Topic == pubsub.TopicCapacity {
			capacity = topic
		}
	}
	if capacity.Mesh != 1 || capacity.MessagesIn+capacity.MessagesOut == 0 || capacity.In+capacity.Out < 100 {
		t.Errorf("topic %+v", capacity)
	}
	if len(n.Protocols) < 3 || n.Stretch != 1 || n.Budget != gossip.Budget {
		t.Errorf("%+v", n)
	}

	va, err := a.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vb, err := b.View(t.Context())
	if err != nil || va.Digest != vb.Digest {
		t.Errorf("digests %s and %s, %v", va.Digest, vb.Digest, err)
	}
	if va.Counts.Own != 1 || va.Counts.Gossip+va.Counts.Pull != 1 || len(va.Nodes) != 2 {
		t.Errorf("view %+v", va)
	}
	for _, v := range va.Nodes {
		if own := v.Node == leasetest.Who("a"); own != (v.Source == "own") || own != v.From.IsZero() || !own && v.From != leasetest.Who("b") {
			t.Errorf("%+v", v)
		}
	}
	if _, err := (&overlay{}).View(t.Context()); !errors.Is(err, api.ErrVisitor) {
		t.Errorf("the view of a visitor: %v", err)
	}
}

// What people send by a node, and the images that it passes on, are no part of what the overlay costs it.
func TestPipesAreNoLoad(t *testing.T) {
	traffic, at := newTraffic(), time.Now()
	all := func(peer.ID) bool { return true }
	for s := range 30 {
		traffic.meter.LogSentMessageStream(10*gossip.Budget*10, wire.PipeProtocol, "x")
		traffic.meter.LogSentMessageStream(300*gossip.Budget*10, stream.Protocol, "x")
		traffic.meter.LogRecvMessageStream(gossip.Budget*5, "/croft/view/1", "x")
		traffic.measure(at.Add(time.Duration(s)*10*time.Second), all)
	}
	if rate, stretch := traffic.load(); rate < gossip.Budget/3 || rate > gossip.Budget || stretch != 1 {
		t.Errorf("load %.0f, stretch %.1f", rate, stretch)
	}
	for s := range 30 {
		traffic.meter.LogRecvMessageStream(gossip.Budget*50, "/croft/view/1", "x")
		traffic.measure(at.Add(time.Duration(30+s)*10*time.Second), all)
	}
	if rate, stretch := traffic.load(); rate < 4*gossip.Budget || stretch < 10 {
		t.Errorf("load %.0f, stretch %.1f", rate, stretch)
	}
}

// A connection by a relay is told from a direct one, and is none when there is both.
func TestRelayedIsNotDirect(t *testing.T) {
	newHost := func() host.Host {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.EnableRelay(), libp2p.DisableMetrics(),
			libp2p.ResourceManager(&network.NullResourceManager{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	near, between, far := newHost(), newHost(), newHost()
	r, err := relay.New(between)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	info := peer.AddrInfo{ID: between.ID(), Addrs: between.Addrs()}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := far.Connect(ctx, info); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Reserve(ctx, far, info); err != nil {
		t.Fatal(err)
	}
	by, err := multiaddr.NewMultiaddr(between.Addrs()[0].String() + "/p2p/" + between.ID().String() + "/p2p-circuit")
	if err != nil {
		t.Fatal(err)
	}
	if err := near.Connect(ctx, peer.AddrInfo{ID: far.ID(), Addrs: []multiaddr.Multiaddr{by}}); err != nil {
		t.Fatal(err)
	}
	o := &overlay{host: near, traffic: newTraffic()}
	direct := func() map[peer.ID]api.Peer {
		n, err := o.Net(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all := map[peer.ID]api.Peer{}
		for _, p := range n.Peers {
			id, err := peer.Decode(p.ID)
			if err != nil {
				t.Fatal(err)
			}
			all[id] = p
		}
		return all
	}
	if all := direct(); all[far.ID()].Direct || all[far.ID()].RTT <= 0 || !all[between.ID()].Direct {
		t.Errorf("by a relay: %+v", all)
	}
	if all := direct(); all[far.ID()].Node != ownerOf(t, far) {
		t.Errorf("principal: %+v", all[far.ID()])
	}
	if err := near.Connect(network.WithForceDirectDial(ctx, "test"), peer.AddrInfo{ID: far.ID(), Addrs: far.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if all := direct(); !all[far.ID()].Direct {
		t.Errorf("both ways: %+v", all)
	}
}

func ownerOf(t *testing.T, h host.Host) lease.Principal {
	t.Helper()
	p, err := wire.Principal(h.ID())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
