// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease/offer"
)

// Register places an offer with its holders: see [dht.Registration]. It is
// ErrNoHolder when no other peer took it.
func (x *Index) Register(ctx context.Context, o offer.Opened) (dht.Registered, error) {
	return x.register(ctx, o, false)
}

func (x *Index) register(ctx context.Context, o offer.Opened, soon bool) (dht.Registered, error) {
	reg, now, missed, err := x.tell(ctx, o, soon)
	switch {
	case err != nil:
		return reg, fmt.Errorf("registering offer %d: %w", o.Sequence, err)
	case now == 0 && missed != nil:
		return reg, fmt.Errorf("registering offer %d: %w", o.Sequence, missed)
	case reg.Status[dht.Stored]+reg.Kept == 0:
		return reg, fmt.Errorf("registering offer %d with %d peers: %w", o.Sequence, now, ErrNoHolder)
	}
	return reg, nil
}

// Withdraw tells everybody who may hold the node's offer that it is closed. End
// Keep before, or it may register the older offer again with somebody new.
func (x *Index) Withdraw(ctx context.Context, closed offer.Opened) (dht.Registered, error) {
	x.mu.Lock()
	asked := len(x.told.Asked)
	x.mu.Unlock()
	reg, _, _, err := x.tell(ctx, closed, false)
	if err == nil && asked > 0 && reg.Holders == 0 {
		err = ErrNoHolder
	}
	if err != nil {
		return reg, fmt.Errorf("withdrawing from %d peers: %w", asked, err)
	}
	x.mu.Lock()
	x.told, x.infos = dht.Told{}, nil
	x.mu.Unlock()
	return reg, nil
}

// tell brings holders an offer, and remembers with whom it is now: so many peers.
func (x *Index) tell(ctx context.Context, o offer.Opened, soon bool) (reg dht.Registered, now int, missed, err error) {
	x.mu.Lock()
	before, peers := x.told, maps.Clone(x.infos)
	x.mu.Unlock()
	if peers == nil {
		peers = map[dht.Key]peer.AddrInfo{}
	}
	r := dht.NewRegistration(dht.RegistrationConfig{Offer: &o, Self: x.at, Serves: x.cfg.Serve, Before: before, Soon: soon, Nodes: x.cfg.Router.Nodes})
	e := x.errand(peers)
	err = e.run(ctx, r, func(dht.IndexEffect) bool { return true })
	reg, told := r.Result()
	now = len(told.Asked)
	for _, why := range e.missed {
		missed = why // any of them
	}
	if err != nil || o.Closed { // those from before may hold it still
		told = before.With(told)
	}
	with := told.Peers()
	maps.DeleteFunc(peers, func(at dht.Key, _ peer.AddrInfo) bool { return !with[at] })
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told, x.infos = told, peers
	return reg, now, missed, err
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
		soon := false
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
			soon = repeat.Soon()
		}
		if current == nil {
			continue
		}
		for {
			next, open := x.once(ctx, *current, soon, offers, &repeat, timer)
			if !open {
				return
			}
			if next == nil {
				break
			}
			current, soon = next, false
		}
	}
}

// once registers an offer and sets the clock for the next time. It returns the newest of
// those that arrived meanwhile, for which it may have been broken off, and whether more
// may arrive.
func (x *Index) once(ctx context.Context, o offer.Opened, soon bool, offers <-chan offer.Opened, repeat *dht.Repeat, timer *time.Timer) (next *offer.Opened, open bool) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var reg dht.Registered
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		reg, err = x.register(running, o, soon)
	}()
	for {
		select {
		case <-done:
			switch {
			case running.Err() != nil: // broken off, or over
				return next, ctx.Err() == nil
			case err != nil:
				x.cfg.Log.Info("offer not registered, trying again", "sequence", o.Sequence, "err", err)
			default:
				x.cfg.Log.Debug("offer registered", "sequence", o.Sequence, "holders", reg.Holders, "silent", reg.Silent, "kept", reg.Kept, "depth", reg.Depth)
			}
			timer.Reset(repeat.After(reg))
			return next, true
		case newer, more := <-offers:
			if !more {
				stop()
				<-done
				return nil, false
			}
			if repeat.Newer(); repeat.Breaks() {
				stop()
			}
			next = &newer
		}
	}
}
