// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"maps"
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
	Depth   int                `json:"depth"`   // of the deepest part
	Status  map[dht.Status]int `json:"status"`  // answers, a bucket at a holder each
}

// placed is a peer that may hold the node's offer.
type placed struct {
	info   peer.AddrInfo
	keys   []dht.Key
	stored []dht.Key // where it said that it holds the offer, the last time it was asked
}

// has reports whether a peer holds the offer wherever it should.
func (p placed) has(keys []dht.Key) bool {
	return !slices.ContainsFunc(keys, func(k dht.Key) bool { return !slices.Contains(p.stored, k) })
}

// Register places an offer at the peers closest to each of its buckets; where too
// many of them are full, at those closest to its part of the bucket, one bit
// deeper and so on. Those that held an earlier one are told of the newer. It is
// ErrNoHolder when no other peer took it.
func (x *Index) Register(ctx context.Context, o offer.Opened) (Registered, error) {
	return x.register(ctx, o, false)
}

// register leaves those alone that hold this very offer, if they are known to: soon
// after a registration it is for whoever has come closer since.
func (x *Index) register(ctx context.Context, o offer.Opened, known bool) (Registered, error) {
	reg := Registered{Status: map[dht.Status]int{}}
	now, homes := map[peer.ID]placed{}, map[dht.Key][]peer.AddrInfo{}
	var held map[peer.ID]placed
	if x.mu.Lock(); known {
		held = x.placed
	}
	x.mu.Unlock()
	var last error
	for level, depth := dht.Buckets(&o.Offer), 0; len(level) > 0; depth++ {
		reg.Depth = depth
		keys := dht.Keys(level)
		if x.cfg.Serve {
			x.local(dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: keys}, netip.Addr{})
		}
		targets, err := x.targets(ctx, keys, homes)
		if err != nil {
			last = err
		}
		verdicts := x.tell(ctx, &reg, held, now, targets, func(p placed) dht.Request {
			return dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: p.keys}
		})
		var deeper []dht.Bucket
		for i, b := range level {
			if v := verdicts[keys[i]]; dht.Deeper(v.asked, v.stored, v.full) && depth < dht.MaxDepth {
				deeper = append(deeper, b.Whole().Toward(o.Node, depth+1))
			}
		}
		level = deeper
	}
	x.retire(ctx, &reg, now, o)
	x.mu.Lock()
	x.homes = homes
	x.mu.Unlock()
	switch {
	case len(now) == 0 && last != nil:
		return reg, fmt.Errorf("registering offer %d: %w", o.Sequence, last)
	case reg.Status[dht.Stored] == 0:
		return reg, fmt.Errorf("registering offer %d with %d peers: %w", o.Sequence, len(now), ErrNoHolder)
	}
	return reg, nil
}

// retire tells those that held the offer and are not among the closest any more of
// the newer one, so that it is not in the wrong class there, and forgets them:
// what they have runs out.
func (x *Index) retire(ctx context.Context, reg *Registered, now map[peer.ID]placed, o offer.Opened) {
	x.mu.Lock()
	var old []placed
	for id, p := range x.placed {
		if _, again := now[id]; !again && len(p.stored) > 0 {
			for keys := range slices.Chunk(p.keys, dht.MaxBuckets) {
				old = append(old, placed{info: p.info, keys: keys})
			}
		}
	}
	x.placed = now
	x.mu.Unlock()
	x.tell(ctx, reg, nil, nil, old, func(p placed) dht.Request {
		return dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: p.keys}
	})
}

// targets finds the holders of every key, those of the last time where they still are,
// and notes them in homes.
func (x *Index) targets(ctx context.Context, keys []dht.Key, homes map[dht.Key][]peer.AddrInfo) ([]placed, error) {
	var mu sync.Mutex
	var last error
	byPeer := map[peer.ID]placed{}
	x.mu.Lock()
	before := x.homes
	x.mu.Unlock()
	each(parallelWalks, keys, func(k dht.Key) {
		peers, err := before[k], error(nil)
		if len(peers) == 0 || !x.cfg.Router.Confirm(ctx, k[:], peers) {
			peers, err = x.cfg.Router.Closest(ctx, k[:], replicas)
			peers = peers[:min(replicas, len(peers))]
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			last = err
		} else {
			homes[k] = peers
		}
		for _, ai := range peers {
			p := byPeer[ai.ID]
			p.info, p.keys = ai, append(p.keys, k)
			byPeer[ai.ID] = p
		}
	})
	return slices.Collect(maps.Values(byPeer)), last
}

// verdict is what the holders of one bucket said.
type verdict struct{ asked, stored, full int }

// tell sends each target its request, adds what they say to reg, and notes in now,
// if there is one, who has been asked. Whoever has all of it by held is not asked.
func (x *Index) tell(ctx context.Context, reg *Registered, held, now map[peer.ID]placed, targets []placed, request func(placed) dht.Request) map[dht.Key]verdict {
	var mu sync.Mutex
	verdicts := map[dht.Key]verdict{}
	each(parallelAsks, targets, func(p placed) {
		var resp dht.Response
		var err error
		if held[p.info.ID].has(p.keys) {
			resp.Status = make([]dht.Status, len(p.keys)) // stored
		} else {
			resp, err = x.ask(ctx, p.info, request(p))
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			reg.Silent++
		} else {
			reg.Holders++
		}
		for i, k := range p.keys {
			v := verdicts[k]
			v.asked++
			if i < len(resp.Status) {
				switch resp.Status[i] {
				case dht.Stored:
					v.stored++
					p.stored = append(p.stored, k)
				case dht.Full:
					v.full++
				}
			}
			verdicts[k] = v
		}
		for _, s := range resp.Status {
			reg.Status[s]++
		}
		if now != nil {
			before := now[p.info.ID]
			p.keys, p.stored = append(before.keys, p.keys...), append(before.stored, p.stored...)
			now[p.info.ID] = p
		}
	})
	return verdicts
}

// Withdraw tells everybody who may hold the node's offer that it is closed. End
// Keep before, or it may register the older offer again with somebody new.
func (x *Index) Withdraw(ctx context.Context, closed offer.Opened) (Registered, error) {
	req := dht.Request{Op: dht.OpWithdraw, Offer: closed.Bytes}
	if x.cfg.Serve {
		x.local(req, netip.Addr{})
	}
	x.mu.Lock()
	targets := slices.Collect(maps.Values(x.placed))
	x.mu.Unlock()
	reg := Registered{Status: map[dht.Status]int{}}
	if len(targets) == 0 {
		return reg, nil
	}
	x.tell(ctx, &reg, nil, nil, targets, func(placed) dht.Request { return req })
	if reg.Holders == 0 {
		return reg, fmt.Errorf("withdrawing from %d peers: %w", len(targets), ErrNoHolder)
	}
	x.mu.Lock()
	clear(x.placed)
	x.mu.Unlock()
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
		early := false
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
			early = tries < len(again) // later the holders may have lost it, or run out of it
		}
		if current == nil {
			continue
		}
		reg, err := x.register(ctx, *current, early)
		switch {
		case err != nil && ctx.Err() == nil:
			x.cfg.Log.Info("offer not registered, trying again", "sequence", current.Sequence, "err", err)
			if reg.Holders == 0 { // else they have answered: no room is no reason to hurry
				tries = 0
			}
		default:
			x.cfg.Log.Debug("offer registered", "sequence", current.Sequence, "holders", reg.Holders, "silent", reg.Silent, "depth", reg.Depth)
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
