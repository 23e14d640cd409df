// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
)

// watched is a router that sees with whom it is to begin.
type watched struct {
	Router
	begin func(before []peer.AddrInfo)
}

func (w watched) Homes(ctx context.Context, key []byte, n int, before []peer.AddrInfo) ([]peer.AddrInfo, bool, error) {
	w.begin(before)
	return w.Router.Homes(ctx, key, n, before)
}

// A registration that is broken off after its look-ups knows yet who it was that they
// found.
func TestBrokenOffItKnowsWhomItFound(t *testing.T) {
	n := newMemory(30, dht.HolderConfig{})
	m := n.all[0]
	begun := 0
	m.cfg.Router = watched{m.cfg.Router, func(before []peer.AddrInfo) {
		for _, ai := range before {
			if begun++; ai.ID == "" {
				t.Error("it is to begin with nobody")
			}
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ask := m.ask
	m.ask = func(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error) {
		cancel()
		<-ctx.Done()
		return dht.Response{}, ctx.Err()
	}
	o := dhttest.Offer(t, n.now, "a", 1, nil)
	if _, err := m.Register(ctx, o); err == nil {
		t.Fatal("it was not broken off")
	}
	m.ask = ask
	if _, err := m.Register(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if begun == 0 {
		t.Error("it begins with nobody")
	}
}

// A holder of before that is dead, and that no look-up asks, is replaced as soon as it
// does not take the offer.
func TestADeadHolderIsReplacedAtOnce(t *testing.T) {
	n := newMemory(40, dht.HolderConfig{})
	key := dht.Every.Key()
	register := func(sequence uint64) []dht.Key {
		t.Helper()
		if err := n.Register(0, dhttest.Offer(t, n.now, "a", sequence, nil)); err != nil {
			t.Fatal(err)
		}
		return n.all[0].told.Homes[key]
	}
	dead := map[dht.Key]bool{}
	for _, at := range register(1)[3:] {
		n.index[n.all[0].infos[at].ID].dead, dead[at] = true, true
	}
	homes := register(2)
	for _, at := range homes {
		if dead[at] {
			t.Error("a dead one counts as a holder")
		} else if len(n.all[0].told.Asked[at].Stored) == 0 {
			t.Error("who is in its place was not told")
		}
	}
	if len(homes) != dht.Replicas {
		t.Errorf("%d holders", len(homes))
	}
}
