// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease/offer"
)

// Registered is what became of a registration, over all buckets and holders.
type Registered struct {
	Holders int                `json:"holders"` // peers that answered
	Silent  int                `json:"silent"`  // peers that did not
	Status  map[dht.Status]int `json:"status"`  // answers, a bucket at a holder each
}

// Register places an offer at the peers closest to each of its buckets, and
// tells those that held an earlier one. ErrNoHolder when no other peer took it.
func (x *Index) Register(ctx context.Context, o offer.Opened) (Registered, error) {
	keys := dht.Keys(dht.Buckets(&o.Offer))
	if x.cfg.Serve && len(keys) > 0 {
		x.local(dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: keys}, netip.Addr{})
	}
	targets, err := x.targets(ctx, keys)
	if err != nil {
		return Registered{}, fmt.Errorf("registering offer %d: %w", o.Sequence, err)
	}
	reg := x.tell(ctx, targets, func(p placed) dht.Request {
		return dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: p.keys}
	})
	if reg.Status[dht.Stored] == 0 {
		return reg, fmt.Errorf("registering offer %d with %d peers: %w", o.Sequence, len(targets), ErrNoHolder)
	}
	return reg, nil
}

// targets finds the holders of every key and adds those of the last
// registration.
func (x *Index) targets(ctx context.Context, keys []dht.Key) ([]placed, error) {
	var mu sync.Mutex
	var last error
	byPeer := map[peer.ID]placed{}
	each(parallelWalks, keys, func(k dht.Key) {
		peers, err := x.cfg.Router.Closest(ctx, k[:])
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			last = err
		}
		for _, ai := range peers[:min(replicas, len(peers))] {
			p := byPeer[ai.ID]
			p.info, p.keys = ai, append(p.keys, k)
			byPeer[ai.ID] = p
		}
	})
	if len(byPeer) == 0 && last != nil {
		return nil, last
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, old := range x.placed {
		if _, ok := byPeer[id]; !ok {
			byPeer[id] = old
		}
	}
	all := make([]placed, 0, len(byPeer))
	for _, p := range byPeer {
		all = append(all, p)
	}
	return all, nil
}

// tell sends each target its request and notes who holds the offer now.
func (x *Index) tell(ctx context.Context, targets []placed, request func(placed) dht.Request) Registered {
	reg := Registered{Status: map[dht.Status]int{}}
	each(parallelAsks, targets, func(p placed) {
		resp, err := x.ask(ctx, p.info, request(p))
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.placed, p.info.ID)
		if err != nil {
			reg.Silent++
			return
		}
		reg.Holders++
		if slices.Contains(resp.Status, dht.Stored) {
			x.placed[p.info.ID] = p
		}
		for _, s := range resp.Status {
			reg.Status[s]++
		}
	})
	return reg
}

// Withdraw tells every holder of the node's offer that it is closed. End Keep
// before, or it may register the older offer again with somebody new.
func (x *Index) Withdraw(ctx context.Context, closed offer.Opened) (Registered, error) {
	req := dht.Request{Op: dht.OpWithdraw, Offer: closed.Bytes}
	if x.cfg.Serve {
		x.local(req, netip.Addr{})
	}
	x.mu.Lock()
	targets := make([]placed, 0, len(x.placed))
	for _, p := range x.placed {
		targets = append(targets, p)
	}
	x.mu.Unlock()
	if len(targets) == 0 {
		return Registered{}, nil
	}
	reg := x.tell(ctx, targets, func(placed) dht.Request { return req })
	if reg.Holders == 0 {
		return reg, fmt.Errorf("withdrawing from %d peers: %w", len(targets), ErrNoHolder)
	}
	return reg, nil
}

// Keep registers the newest offer that arrives, and repeats it in time, until
// ctx ends or the channel is closed. Failures are logged and tried again.
func (x *Index) Keep(ctx context.Context, offers <-chan offer.Opened) {
	var current *offer.Opened
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	tries := 0
	for {
		select {
		case <-ctx.Done():
			return
		case o, ok := <-offers:
			if !ok {
				return
			}
			if tries >= len(again) && current != nil { // settled: a refresh needs no early repeats
				tries = len(again) - 1
			}
			current = &o
		case <-timer.C:
		}
		if current == nil {
			continue
		}
		reg, err := x.Register(ctx, *current)
		switch {
		case err != nil && ctx.Err() == nil:
			x.cfg.Log.Info("offer not registered, trying again", "sequence", current.Sequence, "err", err)
			tries = 0
		default:
			x.cfg.Log.Debug("offer registered", "sequence", current.Sequence, "holders", reg.Holders, "silent", reg.Silent)
		}
		timer.Reset(again[min(tries, len(again)-1)])
		tries++
	}
}

// each runs f for all items, at most n at once, and waits for the last.
func each[T any](n int, items []T, f func(T)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, n)
	for _, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(item)
		})
	}
	wg.Wait()
}
