// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/dht/kad"
	"croft/lease/offer"
)

// realNet is real hosts with real routing on loopback, under a clock that the
// test moves.
type realNet struct {
	t     *testing.T
	hosts []host.Host
	kads  []*kad.DHT
	all   []*Index

	mu  sync.Mutex
	now time.Time
}

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

func newRealNet(t *testing.T, nodes, perBucket int) *realNet {
	t.Helper()
	n := &realNet{t: t, now: time.Unix(1_800_000_000, 0)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range nodes {
		h := newHost(t)
		d, err := kad.New(h, kad.Config{Server: true, Refresh: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		x, err := New(Config{Host: h, Router: d, Now: n.Now, Serve: true, Holder: dht.HolderConfig{PerBucket: perBucket}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		n.hosts, n.kads, n.all = append(n.hosts, h), append(n.kads, d), append(n.all, x)
		if i > 0 {
			first := peer.AddrInfo{ID: n.hosts[0].ID(), Addrs: n.hosts[0].Addrs()}
			_, err := d.Join(ctx, []peer.AddrInfo{first})
			for err != nil && ctx.Err() == nil { // a busy machine may be slow to answer
				_, err = d.Join(ctx, []peer.AddrInfo{first})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	// Identify is asynchronous: a peer enters a table a moment after it connected.
	wait(t, "everybody is in the first one's table", func() bool { return n.kads[0].Size() >= nodes-1 })
	return n
}

// wait polls until a condition holds, within a deadline.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func (n *realNet) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(n.t.Context(), 10*time.Second)
}

func (n *realNet) Register(node int, o offer.Opened) error {
	ctx, cancel := n.context()
	defer cancel()
	reg, err := n.all[node].Register(ctx, o)
	if err != nil {
		return fmt.Errorf("%+v: %w", reg, err)
	}
	return nil
}

func (n *realNet) Withdraw(node int, o offer.Opened) error {
	ctx, cancel := n.context()
	defer cancel()
	_, err := n.all[node].Withdraw(ctx, o)
	return err
}

func (n *realNet) Find(node int, query string) (offer.Result, error) {
	ctx, cancel := n.context()
	defer cancel()
	return n.all[node].Find(ctx, offer.FindRequest{Query: query})
}

func (n *realNet) Kill(node int) { n.hosts[node].Close() }

func (n *realNet) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *realNet) Advance(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func TestRealPeersConform(t *testing.T) {
	dhttest.Run(t, func(t *testing.T, nodes int) dhttest.Net { return newRealNet(t, nodes, 0) })
	dhttest.RunSplits(t, func(t *testing.T, nodes, perBucket int) dhttest.Net { return newRealNet(t, nodes, perBucket) })
}
