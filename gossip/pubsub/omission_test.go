// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"fmt"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"

	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
)

// A neighbour answers pulls, and leaves out what it does not like. Two others have it
// all: the omissions are counted, and the neighbour is asked last.
func TestWhoLeavesOffersOutIsCountedAndAskedLast(t *testing.T) {
	const hidden, all = 4, 20
	liar, b, c, me := newHost(t), newHost(t), newHost(t), newHost(t)
	honest := []*Gossip{start(t, b, Config{}), start(t, c, Config{})}
	some := gossip.NewView(gossip.ViewConfig{})
	for i := range all {
		o := offerOf(t, fmt.Sprint("n", i), 1, func(o *offer.Offer) { o.Made -= 300; o.Until -= 300 })
		for _, g := range honest {
			g.step(gossip.Received{Bytes: o.Bytes, Pulled: true})
		}
		if i >= hidden {
			some.Step(noon, gossip.Received{Bytes: o.Bytes})
		}
	}
	liar.SetStreamHandler(Protocol, func(s network.Stream) {
		req, err := io.ReadAll(s)
		if err != nil {
			return
		}
		pull, err := gossip.DecodePullRequest(req)
		if err != nil {
			t.Error(err)
		}
		page, err := lease.Encode(some.Page(noon, pull))
		if err != nil {
			t.Error(err)
		}
		s.Write(page)
		s.Close()
	})
	g := start(t, me, Config{})
	connect(t, me, liar)
	connect(t, me, b)
	connect(t, me, c)
	wait(t, "all are known", func() bool { return len(g.Offers()) == all })
	wait(t, "it is found out", func() bool { // by the pulls that go on, or by these
		if _, err := g.Pull(t.Context(), liar.ID()); err != nil {
			t.Fatal(err)
		}
		_, err := g.Pull(t.Context(), c.ID())
		return err == nil && g.Stats().Drops["pull:omitted"] >= hidden
	})
	near := g.neighbours()
	for range 50 {
		if id := near[g.choose(near)]; id == liar.ID() {
			t.Fatal("it is asked as others are")
		}
	}
	for _, h := range []network.Network{b.Network(), c.Network()} {
		if n := g.sources.Missed(principal(h.LocalPeer())); n != 0 {
			t.Errorf("%d omissions of an honest neighbour", n)
		}
	}
}
