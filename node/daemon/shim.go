// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
)

// shim is what one sliver may ask.
type shim struct {
	d    *Daemon
	who  door.Sliver
	asks *rate.Limiter // of queries
}

func newShim(d *Daemon, who door.Sliver) shim {
	return shim{d, who, rate.NewLimiter(shimFinds, shimFindBurst)}
}

func (s shim) discovery() discovery { return discovery{d: s.d, not: s.who.Tenant()} }

func (s shim) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return s.Seek(ctx, req, func(offer.Found) error { return nil })
}

func (s shim) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	if !s.asks.Allow() {
		return offer.Result{}, fmt.Errorf("%w: %d queries at once, and %d a second", api.ErrBusy, shimFindBurst, shimFinds)
	}
	return s.discovery().Seek(ctx, req, tell)
}

func (s shim) Self(context.Context) (api.Self, error) {
	return api.Self{Sliver: s.who.Name, Slice: string(s.who.Tenant()), Label: s.who.Label, Owner: s.who.Owner,
		Node: s.d.deps.Key.Principal(), Name: s.d.cfg.Name, Shim: api.ShimVersion}, nil
}

func (s shim) Neighbours(ctx context.Context) ([]api.Neighbour, error) {
	entries, err := look(ctx, s.d, func(l *lease.Ledger) (list []lease.Entry) {
		for _, e := range l.Leases() {
			if e.Sliver != "" && e.State.Live() && e.Slice == s.who.Label && e.Owner == s.who.Owner {
				list = append(list, e)
			}
		}
		return list
	})
	out := []api.Neighbour{}
	now := s.d.time.now().Unix()
	for _, e := range entries {
		o := s.d.sliverOf(e, now)
		out = append(out, api.Neighbour{Sliver: e.Sliver, Node: s.d.deps.Key.Principal(), State: o.Run, Public: o.Public, Ports: e.Ports, Self: e.Sliver == s.who.Name})
	}
	return out, err
}

func (s shim) Lease(ctx context.Context) (api.Tenancy, error) {
	e, err := look(ctx, s.d, func(l *lease.Ledger) lease.Entry {
		e, _ := l.Sliver(s.who.Name)
		return e
	})
	switch {
	case err != nil:
		return api.Tenancy{}, err
	case !e.State.Live():
		return api.Tenancy{}, api.ErrNotRunning
	}
	o := s.d.sliverOf(e, s.d.time.now().Unix())
	return api.Tenancy{Lease: e.Lease, From: e.Term.From, Until: e.Term.Until, Left: o.Left, State: e.State.String(), RSet: e.RSet}, nil
}

func (s shim) Offers(ctx context.Context, since int64, tell func(offer.Found) error) error {
	if s.d.deps.Heard == nil {
		return nil
	}
	for _, f := range s.d.deps.Heard() {
		if f.Offer.Made < since {
			continue
		}
		if err := tell(f); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}
