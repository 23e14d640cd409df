// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
)

// fixed is a router that knows its answer.
type fixed []peer.AddrInfo

func (f fixed) Closest(context.Context, []byte, int) ([]peer.AddrInfo, error) { return f, nil }
func (f fixed) Homes(context.Context, []byte, int, []peer.AddrInfo) ([]peer.AddrInfo, bool, error) {
	return f, false, nil
}

func (f fixed) Nodes() float64 { return 0 }

var noon = time.Unix(1_800_000_000, 0)

func clock() time.Time { return noon }

func TestGarbageOnTheStreamIsResetAndCounted(t *testing.T) {
	server, client := newHost(t), newHost(t)
	x, err := New(Config{Host: server, Router: fixed{}, Now: clock, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Connect(ctx, peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}); err != nil {
		t.Fatal(err)
	}
	noBucket, err := lease.Encode(dht.Request{Op: dht.OpList})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "zeros": make([]byte, 300), "text": []byte("GET / HTTP/1.1\r\n\r\n"),
		"oversize": make([]byte, dht.MaxRequest+1), "list of no bucket": noBucket,
	} {
		s, err := client.NewStream(ctx, server.ID(), Protocol)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(b) // may fail when the server is faster with its reset
		s.CloseWrite()
		if out, err := io.ReadAll(s); err == nil {
			t.Errorf("%s: answered %x, want a reset", name, out)
		}
	}
	refused := x.Stats().Refused
	if refused["malformed"] != 4 || refused["read"] != 1 {
		t.Errorf("counted %v", refused)
	}
}

// One network takes a share of the slots, all together take all.
func TestSlotsOfNetworks(t *testing.T) {
	x := newIndex(Config{Router: fixed{}, Now: clock}, "x")
	net := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24) }
	for i := range maxServedNetwork {
		if why := x.admit(net(0)); why != "" {
			t.Fatalf("request %d: %s", i, why)
		}
	}
	if why := x.admit(net(0)); why != "crowded" {
		t.Errorf("one more of the network: %q", why)
	}
	for i := range maxServed - maxServedNetwork {
		if why := x.admit(net(1 + i)); why != "" {
			t.Fatalf("network %d: %s", i, why)
		}
	}
	if why := x.admit(net(200)); why != "busy" {
		t.Errorf("one more of all: %q", why)
	}
	x.done(net(1))
	if why := x.admit(net(200)); why != "" {
		t.Errorf("a slot is free: %q", why)
	}
	if r := x.Stats().Refused; r["crowded"] != 1 || r["busy"] != 1 {
		t.Errorf("counted %v", r)
	}
}

func TestLyingAndSilentHoldersDoNoHarm(t *testing.T) {
	good, liar, silent, seeker := newHost(t), newHost(t), newHost(t), newHost(t)
	holder, err := New(Config{Host: good, Router: fixed{}, Now: clock, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	true1 := dhttest.Offer(t, noon, "true", 1, nil)
	holder.local(dht.Request{Op: dht.OpRegister, Offer: true1.Bytes, Buckets: []dht.Key{dht.Every.Key()}}, netip.Addr{})
	liar.SetStreamHandler(Protocol, func(s network.Stream) {
		forged := append([]byte{}, true1.Bytes...)
		forged[len(forged)-3] ^= 1
		b, _ := lease.Encode(dht.Response{Offers: [][]byte{forged, make([]byte, 9)}, After: lease.Principal{1}, Size: 2})
		s.Write(b) // and a cursor that never ends
		s.Close()
	})
	release := make(chan struct{})
	silent.SetStreamHandler(Protocol, func(s network.Stream) { <-release; s.Reset() })
	defer close(release)

	router := fixed{{ID: silent.ID(), Addrs: silent.Addrs()}, {ID: liar.ID(), Addrs: liar.Addrs()}, {ID: good.ID(), Addrs: good.Addrs()}}
	x, err := New(Config{Host: seeker, Router: router, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for f, err := range x.Walk(ctx, Search{}) { // the first one comes although the silent one holds its tongue
		if err != nil || f.Offer.Name != "true" {
			t.Fatalf("found %+v, %v", f.Offer, err)
		}
		break
	}
	res, err := x.Find(ctx, offer.FindRequest{})
	if err != nil || res.Known != 1 || res.Offers[0].Offer.Name != "true" {
		t.Errorf("found %d, %v", res.Known, err)
	}
	if n := x.Stats().Ignored; n[dht.Unreadable] < 2 {
		t.Errorf("counted %v", n)
	}
}

func TestAloneIsAnErrorAndNotAHang(t *testing.T) {
	x, err := New(Config{Host: newHost(t), Router: fixed{}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Register(t.Context(), dhttest.Offer(t, noon, "a", 1, nil)); !errors.Is(err, ErrNoHolder) {
		t.Errorf("registering: %v", err)
	}
	if _, err := x.Find(t.Context(), offer.FindRequest{}); !errors.Is(err, ErrNoHolder) {
		t.Errorf("finding: %v", err)
	}
	if _, err := x.Find(t.Context(), offer.FindRequest{Query: "cpuu>1"}); !errors.Is(err, offer.ErrQuery) {
		t.Errorf("a query that does not parse: %v", err)
	}
}

func TestKeepRegistersEachNewOffer(t *testing.T) {
	holderHost, nodeHost := newHost(t), newHost(t)
	holder, err := New(Config{Host: holderHost, Router: fixed{}, Now: clock, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	node, err := New(Config{Host: nodeHost, Now: clock,
		Router: fixed{{ID: holderHost.ID(), Addrs: holderHost.Addrs()}}})
	if err != nil {
		t.Fatal(err)
	}
	offers, done := make(chan offer.Opened), make(chan struct{})
	go func() { node.Keep(t.Context(), offers); close(done) }()
	for seq := range uint64(2) {
		offers <- dhttest.Offer(t, noon, "a", seq+1, nil)
		wait(t, "the holder has it", func() bool {
			res, err := holder.Find(t.Context(), offer.FindRequest{})
			return err == nil && res.Known == 1 && res.Offers[0].Offer.Sequence == seq+1
		})
	}
	if s := node.Stats(); s.Holders != 1 {
		t.Errorf("%+v", s)
	}
	close(offers)
	<-done
}
