// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
)

type testKey ed25519.PrivateKey

func (k testKey) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k testKey) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func keyOf(name string) testKey {
	seed := sha256.Sum256([]byte(name))
	return testKey(ed25519.NewKeyFromSeed(seed[:]))
}

var noon = time.Unix(1_800_000_000, 0)

func clock() time.Time { return noon }

func offerOf(t *testing.T, name string, seq uint64, change func(*offer.Offer)) offer.Opened {
	t.Helper()
	key := keyOf(name)
	o := &offer.Offer{Node: key.Principal(), Sequence: seq, Made: noon.Unix(), Until: noon.Unix() + 600, Name: name}
	if change != nil {
		change(o)
	}
	sealed, err := offer.Seal(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
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

func start(t *testing.T, h host.Host, cfg Config) *Gossip {
	t.Helper()
	if cfg.Host = h; cfg.Now == nil {
		cfg.Now = clock
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func connect(t *testing.T, from, to host.Host) {
	t.Helper()
	if err := from.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// wait polls until a condition holds, within a deadline.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 15 s: %s", what)
		}
	}
}

// meshed waits until every link of a line of nodes is in the mesh of a topic at both
// its ends. That the neighbours are on the topic is not enough: between then and the
// next heartbeat a node passes nothing on, and what it was told it tells late, by a pull.
func meshed(t *testing.T, topic string, line []*Gossip) {
	t.Helper()
	for i, g := range line {
		want := min(1, i) + min(1, len(line)-1-i)
		wait(t, fmt.Sprintf("node %d has %d in the mesh of %s", i, want, topic), func() bool { return g.Stats().Meshes[topic] == want })
	}
}

func TestOffersReachEverybodyAndTheLatecomer(t *testing.T) {
	const nodes = 6
	var hosts []host.Host
	var all []*Gossip
	for i := range nodes { // a line: nobody but its neighbours knows a node
		h := newHost(t)
		hosts, all = append(hosts, h), append(all, start(t, h, Config{}))
		if i > 0 {
			connect(t, h, hosts[i-1])
		}
	}
	meshed(t, TopicCapacity, all)
	for i, g := range all {
		if err := g.Publish(t.Context(), offerOf(t, fmt.Sprint("n", i), 1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range all {
		wait(t, fmt.Sprintf("node %d knows all", i), func() bool { return len(g.Offers()) == nodes })
	}
	late := newHost(t)
	g := start(t, late, Config{})
	connect(t, late, hosts[2])
	wait(t, "the latecomer knows all", func() bool { return len(g.Offers()) == nodes })

	res, err := g.Find(t.Context(), offer.FindRequest{Query: "name=n3", View: true})
	if err != nil || res.Matched != 1 || res.Known != nodes || res.Offers[0].Source != offer.View {
		t.Errorf("found %+v, %v", res, err)
	}
	if err := all[0].Publish(t.Context(), offerOf(t, "n0", 2, func(o *offer.Offer) { o.Closed = true })); err != nil {
		t.Fatal(err)
	}
	wait(t, "the latecomer heard of the leaving", func() bool { return len(g.Offers()) == nodes-1 })
}

func TestGarbageOnTheTopicIsRejectedCountedAndTheSenderLeftOut(t *testing.T) {
	honest, hostile := newHost(t), newHost(t)
	var mu sync.Mutex
	var effects []gossip.Effect
	g := start(t, honest, Config{OnEffect: func(e gossip.Effect) {
		mu.Lock()
		defer mu.Unlock()
		effects = append(effects, e)
	}})
	m := start(t, hostile, Config{})
	connect(t, hostile, honest)
	wait(t, "both on the topic", func() bool { return g.Stats().Neighbours == 1 && m.Stats().Neighbours == 1 })
	good := offerOf(t, "a", 1, nil)
	if err := m.Publish(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	wait(t, "the good one is there", func() bool { return len(g.Offers()) == 1 })

	forged := append([]byte{}, good.Bytes...)
	forged[len(forged)-1] ^= 1
	raw := func(b []byte) { // past our own checks
		if err := m.topics[TopicCapacity].Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	drops := func(reason string) func() bool { return func() bool { return g.Stats().Drops[reason] > 0 } }
	raw(offerOf(t, "a", 1, func(o *offer.Offer) { o.Uptime = 7 }).Bytes)
	wait(t, "equivocation", drops("ignore:equivocation"))
	raw(offerOf(t, "b", 1, func(o *offer.Offer) { o.Made -= 9999; o.Until -= 9999 }).Bytes)
	wait(t, "expired", drops("ignore:expired"))
	raw(forged)
	wait(t, "forged", drops("reject:signature"))
	raw(make([]byte, offer.MaxOffer+1))
	wait(t, "too big", drops("reject:too-big"))
	raw([]byte("hello"))
	wait(t, "malformed", drops("reject:malformed"))
	if n := len(g.Offers()); n != 1 {
		t.Errorf("%d offers after the garbage", n)
	}
	if len(g.Evidence()) != 1 {
		t.Errorf("evidence: %v", g.Evidence())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(effects) != 2 { // stored, equivocated
		t.Errorf("effects %v", effects)
	}
}

func TestGarbageOnThePullIsResetAndCounted(t *testing.T) {
	server, client := newHost(t), newHost(t)
	g := start(t, server, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	connect(t, client, server)
	for name, b := range map[string][]byte{"nothing": {}, "text": []byte("hello"), "oversize": make([]byte, gossip.MaxPull+1)} {
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
	if d := g.Stats().Drops; d["serve:malformed"] != 2 || d["serve:read"] != 1 {
		t.Errorf("counted %v", d)
	}

	// And the other way: a neighbour that answers a pull with garbage.
	client.SetStreamHandler(Protocol, func(s network.Stream) {
		b, _ := lease.Encode(gossip.PullPage{Offers: [][]byte{{1, 2, 3}}, After: lease.Principal{1}})
		s.Write(b)
		s.Close()
	})
	if n, err := g.Pull(ctx, client.ID()); n != 0 || !errors.Is(err, lease.ErrSyntax) {
		t.Errorf("pulled %d, %v", n, err)
	}
}

func TestNoticesTravelAndOldOnesDoNot(t *testing.T) {
	a, b := newHost(t), newHost(t)
	heard := make(chan gossip.Notice, 8)
	g := start(t, a, Config{OnNotice: func(n gossip.Notice) { heard <- n }})
	m := start(t, b, Config{})
	connect(t, b, a)
	meshed(t, TopicLeases, []*Gossip{g, m})
	key := keyOf("n")
	if err := m.Publish(t.Context(), offerOf(t, "n", 1, nil)); err != nil {
		t.Fatal(err)
	}
	wait(t, "the node is known", func() bool { return len(g.Offers()) == 1 })
	notice := gossip.Notice{Node: key.Principal(), Sequence: 1, Made: noon.Unix(), Until: noon.Unix() + 60, RSet: lease.RSet{lease.CPU: 1}}
	sealed, err := gossip.SealNotice(notice, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Tell(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != notice {
			t.Errorf("heard %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing heard")
	}
	notice.Made -= 9999
	old, err := gossip.SealNotice(notice, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Tell(t.Context(), old); !errors.Is(err, offer.ErrExpired) {
		t.Errorf("telling of old news: %v", err)
	}
}
