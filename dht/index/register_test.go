// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
)

// watched is a router that sees whom it is to confirm.
type watched struct {
	Router
	confirm func([]peer.AddrInfo) (known bool)
}

func (w watched) Confirm(ctx context.Context, key []byte, known []peer.AddrInfo) bool {
	return w.confirm(known) && w.Router.Confirm(ctx, key, known)
}

// A registration that is broken off after its look-ups knows yet who it was that they
// found.
func TestBrokenOffItKnowsWhomItFound(t *testing.T) {
	n := newMemory(30, dht.HolderConfig{})
	m := n.all[0]
	confirmed := 0
	m.cfg.Router = watched{m.cfg.Router, func(known []peer.AddrInfo) bool {
		for _, ai := range known {
			if confirmed++; ai.ID == "" {
				t.Error("it is to confirm nobody")
				return false
			}
		}
		return true
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
	if confirmed == 0 {
		t.Error("nobody was to be confirmed")
	}
}
