// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease/offer"
)

// placed is a peer that may hold the node's offer.
type placed struct {
	info peer.AddrInfo
	dht.Placed
}

// Register places an offer with its holders: see [dht.Registration]. It is
// ErrNoHolder when no other peer took it.
func (x *Index) Register(ctx context.Context, o offer.Opened) (dht.Registered, error) {
	reg, now, missed, err := x.tell(ctx, o)
	switch {
	case err != nil:
		return reg, fmt.Errorf("registering offer %d: %w", o.Sequence, err)
	case now == 0 && missed != nil:
		return reg, fmt.Errorf("registering offer %d: %w", o.Sequence, missed)
	case reg.Status[dht.Stored] == 0:
		return reg, fmt.Errorf("registering offer %d with %d peers: %w", o.Sequence, now, ErrNoHolder)
	}
	return reg, nil
}

// Withdraw tells everybody who may hold the node's offer that it is closed. End
// Keep before, or it may register the older offer again with somebody new.
func (x *Index) Withdraw(ctx context.Context, closed offer.Opened) (dht.Registered, error) {
	x.mu.Lock()
	asked := len(x.placed)
	x.mu.Unlock()
	reg, _, _, err := x.tell(ctx, closed)
	if err == nil && asked > 0 && reg.Holders == 0 {
		err = ErrNoHolder
	}
	if err != nil {
		return reg, fmt.Errorf("withdrawing from %d peers: %w", asked, err)
	}
	x.mu.Lock()
	clear(x.placed)
	x.mu.Unlock()
	return reg, nil
}

// tell brings holders an offer, and remembers with whom it is now: so many peers.
func (x *Index) tell(ctx context.Context, o offer.Opened) (reg dht.Registered, now int, missed, err error) {
	before, peers := map[dht.Key]dht.Placed{}, map[dht.Key]peer.AddrInfo{}
	x.mu.Lock()
	for at, p := range x.placed {
		before[at], peers[at] = p.Placed, p.info
	}
	x.mu.Unlock()
	r := dht.NewRegistration(dht.RegistrationConfig{Offer: &o, Self: x.at, Serves: x.cfg.Serve, Placed: before})
	e := x.errand(peers)
	err = e.run(ctx, r, func(dht.IndexEffect) bool { return true })
	reg, asked := r.Result()
	for _, why := range e.missed {
		missed = why // any of them
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil && !o.Closed { // else those from before may hold it still
		clear(x.placed)
	}
	for at, p := range asked {
		x.placed[at] = placed{info: peers[at], Placed: p}
	}
	return reg, len(asked), missed, err
}

// Keep registers the newest offer that arrives, and repeats it in time, until
// ctx ends or the channel is closed. Failures are logged and tried again.
func (x *Index) Keep(ctx context.Context, offers <-chan offer.Opened) {
	var current *offer.Opened
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var repeat dht.Repeat
	for {
		select {
		case <-ctx.Done():
			return
		case o, ok := <-offers:
			if !ok {
				return
			}
			if current != nil {
				repeat.Newer()
			}
			current = &o
		case <-timer.C:
		}
		if current == nil {
			continue
		}
		reg, err := x.Register(ctx, *current)
		if err != nil && ctx.Err() == nil {
			x.cfg.Log.Info("offer not registered, trying again", "sequence", current.Sequence, "err", err)
		} else {
			x.cfg.Log.Debug("offer registered", "sequence", current.Sequence, "holders", reg.Holders, "silent", reg.Silent, "depth", reg.Depth)
		}
		timer.Reset(repeat.After(reg))
	}
}
