// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

// Routing, index and gossip together, between real hosts on loopback. The three
// never import one another; what joins them here is what a daemon does: the view
// first, the index where the view is thin or off.
package daemon

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht/index"
	"croft/dht/kad"
	"croft/gossip/pubsub"
	"croft/lease"
	"croft/lease/offer"
)

type key ed25519.PrivateKey

func (k key) Principal() lease.Principal {
	return lease.Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k key) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

// member is one machine: a key, a host, and its three parts of the overlay.
type member struct {
	name   string
	key    key
	host   host.Host
	kad    *kad.DHT
	index  *index.Index
	gossip *pubsub.Gossip
	seq    uint64
}

func newMember(t *testing.T, name string) *member {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	n := &member{name: name, key: key(ed25519.NewKeyFromSeed(seed[:]))}
	identity, err := crypto.UnmarshalEd25519PrivateKey(n.key)
	must(t, err)
	n.host, err = libp2p.New(libp2p.Identity(identity), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	must(t, err)
	t.Cleanup(func() { n.host.Close() })
	n.kad, err = kad.New(n.host, kad.Config{Server: true, Refresh: -1})
	must(t, err)
	t.Cleanup(func() { n.kad.Close() })
	n.index, err = index.New(index.Config{Host: n.host, Router: n.kad, Now: time.Now, Serve: true})
	must(t, err)
	t.Cleanup(func() { n.index.Close() })
	n.gossip, err = pubsub.New(pubsub.Config{Host: n.host, Now: time.Now})
	must(t, err)
	t.Cleanup(func() { n.gossip.Close() })
	return n
}

// offer makes the node's next offer and tells everybody.
func (n *member) offer(t *testing.T, country string, closed bool) {
	t.Helper()
	n.seq++
	o := &offer.Offer{Node: n.key.Principal(), Sequence: n.seq, Made: time.Now().Unix(), Name: n.name, Closed: closed,
		Attributes: offer.Attributes{Country: country}}
	o.Until = o.Made + offer.MaxValid
	o.Free = []offer.Free{{Pool: lease.PoolCommons, RSet: lease.RSet{lease.CPU: 2000}}}
	sealed, err := offer.Seal(o, n.key)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, n.gossip.Publish(ctx, sealed))
	if closed {
		_, err = n.index.Withdraw(ctx, sealed)
	} else {
		_, err = n.index.Register(ctx, sealed)
	}
	must(t, err)
}

// find answers as a daemon does.
func (n *member) find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return finder{view: n.gossip.Offers, walk: n.index.Walk, now: time.Now, opt: offer.Options{Salt: []byte(n.name)}}.
		find(ctx, req, func(offer.Found) error { return nil })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
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

func TestEightNodesFindOneAnotherWithTheViewAndWithout(t *testing.T) {
	var nodes []*member
	for i := range 8 {
		n := newMember(t, fmt.Sprintf("s%d/n%d", i%3, i))
		if i > 0 {
			first := peer.AddrInfo{ID: nodes[0].host.ID(), Addrs: nodes[0].host.Addrs()}
			_, err := n.kad.Join(t.Context(), []peer.AddrInfo{first})
			must(t, err)
		}
		nodes = append(nodes, n)
	}
	wait(t, "the first knows all", func() bool { return nodes[0].kad.Size() == 7 })
	for i, n := range nodes {
		n.offer(t, []string{"CH", "DE"}[i%2], false)
	}
	for _, view := range []bool{true, false} {
		source := offer.DHT
		if view {
			source = offer.View
		}
		// expect waits, because gossip needs a moment to reach everybody.
		expect := func(from *member, query string, want ...string) {
			t.Helper()
			var got string
			wait(t, fmt.Sprintf("view %v, %s: want %v", view, query, want), func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				res, err := from.find(ctx, offer.FindRequest{Query: query, View: view, Enough: 1})
				if err != nil {
					got = err.Error()
					return false
				}
				var names []string
				for _, f := range res.Offers {
					names = append(names, f.Offer.Name)
					if f.Source != source {
						t.Fatalf("view %v: %s came from %s", view, f.Offer.Name, f.Source)
					}
				}
				slices.Sort(names)
				got = strings.Join(names, " ")
				return slices.Equal(names, want)
			})
			t.Logf("view %v, %q: %s", view, query, got)
		}
		expect(nodes[5], "country=CH & cpu>=1000", "s0/n0", "s0/n6", "s1/n4", "s2/n2")
		expect(nodes[2], "country!=CH & site=s1", "s1/n1", "s1/n7")
		expect(nodes[3], "cpu>=1000 & country=FR")

		nodes[4].offer(t, "CH", true)
		expect(nodes[1], "country=CH", "s0/n0", "s0/n6", "s2/n2")
		nodes[4].offer(t, "CH", false)
		expect(nodes[1], "country=CH", "s0/n0", "s0/n6", "s1/n4", "s2/n2")
	}

	// One holder dies without a word. Its own offer stays until it runs out; what
	// it held for others is found elsewhere.
	nodes[7].host.Close()
	for _, view := range []bool{true, false} {
		res, err := nodes[3].find(t.Context(), offer.FindRequest{Query: "country=CH limit 4", View: view})
		if err != nil || res.Matched != 4 {
			t.Errorf("view %v, one holder dead: %d match, %v", view, res.Matched, err)
		}
	}
	res, err := nodes[3].find(t.Context(), offer.FindRequest{Query: "cpu>=4000 & country=CH"})
	if err != nil || res.Matched != 0 || res.Nearest != "4 more nodes if cpu>=2000" {
		t.Errorf("nothing matches: nearest %q, removed %+v, %v", res.Nearest, res.Removed, err)
	}
}
