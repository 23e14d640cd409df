// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease/offer"
)

// slow is a router whose look-ups take ten seconds while it is.
type slow struct {
	Router
	is *bool
}

func (s slow) Homes(ctx context.Context, key []byte, n int, before []peer.AddrInfo) ([]peer.AddrInfo, bool, error) {
	if *s.is {
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return s.Router.Homes(ctx, key, n, before)
}

// A newer offer does not wait for the look-ups of the one before it; and however often
// there is one, some are seen through.
func TestNewsDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemory(30, dht.HolderConfig{})
		m, is := n.all[0], true
		m.cfg.Router = slow{m.cfg.Router, &is}
		offers, over := make(chan offer.Opened), make(chan struct{})
		go func() {
			m.Keep(t.Context(), offers)
			close(over)
		}()
		var mu sync.Mutex
		var held []uint64
		forget := func() (was []uint64) {
			mu.Lock()
			defer mu.Unlock()
			was, held = held, nil
			return was
		}
		ask := m.ask
		m.ask = func(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error) {
			o, err := n.open(req.Offer)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if !slices.Contains(held, o.Sequence) {
				held = append(held, o.Sequence)
			}
			return ask(ctx, to, req)
		}
		say := func(sequence uint64) { offers <- dhttest.Offer(t, n.now, "a", sequence, nil) }
		say(1)
		time.Sleep(4 * time.Second)
		is = false
		say(2) // at once: the look-ups of the first are broken off
		synctest.Wait()
		if held := forget(); !slices.Equal(held, []uint64{2}) {
			t.Fatalf("told of %d", held)
		}
		is = true
		for sequence := uint64(3); sequence < 20; sequence++ { // more often than any is done
			say(sequence)
			time.Sleep(4 * time.Second)
		}
		if held := forget(); len(held) < 4 {
			t.Errorf("in a minute told of %d", held)
		}
		close(offers)
		<-over
	})
}
