// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/dht"
	"croft/lease"
)

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func start(t *testing.T, cfg Config) *DHT {
	t.Helper()
	cfg.Refresh = -1
	d, err := New(newHost(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func info(d *DHT) peer.AddrInfo { return peer.AddrInfo{ID: d.host.ID(), Addrs: d.host.Addrs()} }

func principal(t *testing.T, id peer.ID) (p lease.Principal) {
	t.Helper()
	key, err := id.ExtractPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Raw()
	if err != nil {
		t.Fatal(err)
	}
	return lease.Principal(raw)
}

func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(3 * mendEvery)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", 3*mendEvery, what)
		}
	}
}

// A node that turns out to be out of others' reach is asked no more, until it is not.
func TestOutOfReachItRoutesForNobody(t *testing.T) {
	first, second := start(t, Config{Server: true}), start(t, Config{Server: true})
	if n, err := second.Join(t.Context(), []peer.AddrInfo{info(first)}); n != 1 || err != nil {
		t.Fatalf("joined through %d, %v", n, err)
	}
	verdicts, err := second.host.EventBus().Emitter(new(event.EvtLocalReachabilityChanged))
	if err != nil {
		t.Fatal(err)
	}
	defer verdicts.Close()
	for _, c := range []struct {
		verdict network.Reachability
		routes  int
	}{{network.ReachabilityPrivate, 0}, {network.ReachabilityPublic, 1}} {
		if err := verdicts.Emit(event.EvtLocalReachabilityChanged{Reachability: c.verdict}); err != nil {
			t.Fatal(err)
		}
		wait(t, c.verdict.String(), func() bool { return first.Size() == c.routes })
	}
	if second.Neighbours() != 1 {
		t.Error("it has no neighbour itself")
	}
}

func TestJoinFindRememberAndRejoin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first := start(t, Config{Server: true})
	var others []*DHT
	for range 4 {
		d := start(t, Config{Server: true})
		if n, err := d.Join(ctx, nil, []peer.AddrInfo{info(first)}); n != 1 || err != nil {
			t.Fatalf("joined through %d, %v", n, err)
		}
		others = append(others, d)
	}
	wait(t, "the first knows all", func() bool { return first.Size() == 4 })

	visitor := start(t, Config{})
	if _, err := visitor.Join(ctx, []peer.AddrInfo{info(first)}); err != nil {
		t.Fatal(err)
	}
	found, err := visitor.Closest(ctx, []byte("some key"), dht.LookupClosest)
	if err != nil || len(found) != 5 {
		t.Errorf("a visitor sees %d peers, %v", len(found), err)
	}
	for _, ai := range found {
		if ai.ID == visitor.host.ID() || len(ai.Addrs) == 0 {
			t.Errorf("closest: %v", ai)
		}
	}
	want := others[3].host.ID()
	ai, err := visitor.FindNode(ctx, principal(t, want))
	if err != nil || ai.ID != want || len(ai.Addrs) == 0 {
		t.Errorf("found node %v, %v", ai, err)
	}
	if n := first.Size(); n != 4 {
		t.Errorf("the visitor is in the table: %d peers", n)
	}

	// The one that everybody joined through goes. A newcomer that remembers the
	// others gets in.
	remembered := others[0].Remember()
	if len(remembered) == 0 || len(remembered) > MaxRemembered {
		t.Fatalf("remembered %d", len(remembered))
	}
	dead := info(first)
	first.host.Close()
	late := start(t, Config{Server: true})
	if _, err := late.Join(ctx, []peer.AddrInfo{dead}, remembered, []peer.AddrInfo{info(others[1])}); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Closest(ctx, []byte("k"), dht.LookupClosest); err != nil {
		t.Error(err)
	}
}

func TestAlone(t *testing.T) {
	d := start(t, Config{Server: true})
	if _, err := d.Join(t.Context(), nil, []peer.AddrInfo{info(d)}); !errors.Is(err, ErrAlone) {
		t.Errorf("joining oneself: %v", err)
	}
	if _, err := d.Closest(t.Context(), []byte("k"), dht.LookupClosest); !errors.Is(err, ErrAlone) {
		t.Errorf("closest: %v", err)
	}
	if _, err := d.FindNode(t.Context(), lease.Principal{1}); err == nil {
		t.Error("found a node that is not there")
	}
}

func TestPublicKeepsWhatTheInternetRoutes(t *testing.T) {
	var in []ma.Multiaddr
	for _, s := range []string{"/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/8.8.8.8/udp/1/quic-v1", "/ip6/fe80::1/tcp/1"} {
		in = append(in, ma.StringCast(s))
	}
	if out := Public(in); len(out) != 1 || out[0].String() != "/ip4/8.8.8.8/udp/1/quic-v1" {
		t.Errorf("kept %v", out)
	}
}
