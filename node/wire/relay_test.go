// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
)

// newCarrier makes a host that takes itself to be public, and serves.
func newCarrier(t *testing.T, seed byte, q RelayQuota) *Host {
	t.Helper()
	k, _ := key(seed)
	h, err := NewHost(Config{Key: k, Listen: listenAddrs("127.0.0.1", 0), Relay: &q})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	verdict(t, h, network.ReachabilityPublic)
	until(t, "it serves as a relay", func() bool { return h.Reach().Carried.Serving })
	return h
}

// verdict stands in for AutoNAT, which asks nothing about loopback.
func verdict(t *testing.T, h *Host, v network.Reachability) {
	t.Helper()
	e, err := h.EventBus().Emitter(new(event.EvtLocalReachabilityChanged))
	must(t, err)
	must(t, e.Emit(event.EvtLocalReachabilityChanged{Reachability: v}))
	must(t, e.Close())
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// reserve has a relay carry for a host, and tells another of the way.
func reserve(t *testing.T, relay *Host, behind, seeker host.Host) {
	t.Helper()
	connect(t, behind, relay)
	until(t, "the relay is known as one", func() bool {
		has, err := behind.Peerstore().SupportsProtocols(relay.ID(), proto.ProtoIDv2Hop)
		return err == nil && len(has) > 0
	})
	_, err := circuit2.Reserve(t.Context(), behind, peer.AddrInfo{ID: relay.ID(), Addrs: relay.Addrs()})
	must(t, err)
	lead(relay, behind, seeker)
}

// lead has a host know another by a relay's addresses alone.
func lead(relay *Host, behind, seeker host.Host) {
	seeker.Peerstore().ClearAddrs(behind.ID())
	for _, a := range relay.Addrs() {
		seeker.Peerstore().AddAddr(behind.ID(), a.Encapsulate(ma.StringCast("/p2p/"+relay.ID().String()+Circuit)), time.Hour)
	}
}

// A pipe goes through a relay where nothing else does, and the relay counts it and
// stops when its quota is used up.
func TestPipesThroughARelay(t *testing.T) {
	const daily = 64 << 10
	relay := newCarrier(t, 11, RelayQuota{Nodes: 2, Rate: 1e9, Daily: daily})
	behind, seeker := newHost(t, 12), newHost(t, 13)
	k, target := key(12)
	l := Listen(behind, k, Options{})
	t.Cleanup(func() { l.Close() })
	whoami(t, l)
	reserve(t, relay, behind, seeker)

	ask := func(body int64) error {
		c := client(14, target, func(ctx context.Context) (net.Conn, error) { return Dial(ctx, seeker, target) })
		resp, err := c.Post("http://node/", "text/plain", io.LimitReader(zeros{}, body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		return err
	}
	must(t, ask(1000))
	for _, c := range seeker.Network().ConnsToPeer(behind.ID()) {
		if !c.Stat().Limited || !circuit(c.RemoteMultiaddr()) {
			t.Errorf("a connection by %s", c.RemoteMultiaddr())
		}
	}
	carried := relay.Reach().Carried
	if carried.Nodes != 1 || carried.Circuits != 1 || carried.Bytes < 1000 || carried.Today != carried.Bytes {
		t.Errorf("carried %+v", carried)
	}
	must(t, ask(daily)) // on the connection that there is
	for _, c := range seeker.Network().ConnsToPeer(behind.ID()) {
		c.Close()
	}
	lead(relay, behind, seeker) // it has heard of the others meanwhile
	if err := ask(1); !errors.Is(err, ErrUnreachable) {
		t.Errorf("with the quota used up: %v", err)
	}
	until(t, "the circuit is over", func() bool { return relay.Reach().Carried.Circuits == 0 })
	if carried := relay.Reach().Carried; carried.Refused == 0 || carried.Today < daily {
		t.Errorf("carried %+v", carried)
	}
	behind.Close()
	until(t, "the place is free", func() bool { return relay.Reach().Carried.Nodes == 0 })
}

// A relay has places for so many, and a host that nobody reaches serves nobody.
func TestARelayIsFull(t *testing.T) {
	relay := newCarrier(t, 15, RelayQuota{Nodes: 1, Rate: 1e9, Daily: 1 << 30})
	first, second := newHost(t, 16), newHost(t, 17)
	reserve(t, relay, first, second)
	connect(t, second, relay)
	_, err := circuit2.Reserve(t.Context(), second, peer.AddrInfo{ID: relay.ID(), Addrs: relay.Addrs()})
	if err == nil {
		t.Error("a second has a place")
	}
	if c := relay.Reach().Carried; c.Nodes != 1 || c.Refused != 1 {
		t.Errorf("carried %+v", c)
	}
	verdict(t, relay, network.ReachabilityPrivate)
	until(t, "it serves no more", func() bool { return !relay.Reach().Carried.Serving })
	if r := relay.Reach(); r.State != StatePrivate || r.Carried.Nodes != 0 {
		t.Errorf("reach %+v", r)
	}
}

// What is ahead of the rate waits, and a new day has a new quota.
func TestTheQuotaOfARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newMeter(ctx, RelayQuota{Nodes: 1, Rate: 8 << 20, Daily: 4 << 20}) // 1 MiB/s
		began := time.Now()
		for range (relayBurst + 2<<20) / relayBuffer {
			m.BytesTransferred(relayBuffer)
		}
		if took := time.Since(began); took.Round(time.Millisecond) != 2*time.Second {
			t.Errorf("2 MiB more than the burst took %s", took)
		}
		if !m.AllowConnect("", nil, "") {
			t.Error("refused below the quota")
		}
		for range (1 << 20) / relayBuffer {
			m.BytesTransferred(relayBuffer)
		}
		if m.AllowConnect("", nil, "") || m.AllowReserve("", nil) {
			t.Error("taken at the quota")
		}
		time.Sleep(24 * time.Hour)
		if c := m.now(); !m.AllowConnect("", nil, "") || c.Today != 0 || c.Bytes != 4<<20 {
			t.Errorf("a day later: %+v", c)
		}
		cancel()
		for range 1000 { // nobody waits for a host that is closed
			m.BytesTransferred(relayBuffer)
		}
	})
}

// A host without an address that the internet routes knows at once that it needs
// relays, unless it is on a network of its own, and asks those it is given.
func TestAHostBehindNATAsksForRelays(t *testing.T) {
	for _, private := range []bool{false, true} {
		k, _ := key(18)
		asked := make(chan int, 8)
		h, err := NewHost(Config{Key: k, Listen: listenAddrs("127.0.0.1", 0), Private: private,
			Relays: func(_ context.Context, n int) <-chan peer.AddrInfo {
				asked <- n
				none := make(chan peer.AddrInfo)
				close(none)
				return none
			}})
		must(t, err)
		if private {
			told, err := h.EventBus().Subscribe(new(event.EvtLocalReachabilityChanged)) // the last there was, if any
			must(t, err)
			verdict(t, h, network.ReachabilityPublic)
			if e := (<-told.Out()).(event.EvtLocalReachabilityChanged); e.Reachability != network.ReachabilityPublic {
				t.Errorf("on a network of its own: %s", e.Reachability)
			}
			must(t, told.Close())
		} else {
			if n := <-asked; n < relaysWanted {
				t.Errorf("asked for %d", n)
			}
			until(t, "it is behind NAT", func() bool { return h.Reach().State == StatePrivate })
		}
		must(t, h.Close())
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
