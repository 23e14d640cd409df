// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
)

// shim is what one sliver may ask.
type shim struct {
	d     *Daemon
	who   door.Sliver
	finds *rate.Limiter // queries
	asks  *rate.Limiter // all of what it asks, by what that costs
	says  *rate.Limiter // messages
}

func newShim(d *Daemon, who door.Sliver) shim {
	return shim{d, who, rate.NewLimiter(shimFinds, shimFindBurst), rate.NewLimiter(shimAsks, shimAskBurst), rate.NewLimiter(shimSays, shimSayBurst)}
}

// may is an error where a sliver asks more than its share.
func (s shim) may(cost int) error {
	if !s.asks.AllowN(time.Now(), cost) {
		return fmt.Errorf("%w: this sliver asks too often", api.ErrBusy)
	}
	return nil
}

func (s shim) discovery() discovery { return discovery{d: s.d, not: s.who.Tenant()} }

func (s shim) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return s.Seek(ctx, req, func(offer.Found) error { return nil })
}

func (s shim) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	if err := s.may(1); err != nil {
		return offer.Result{}, err
	}
	if !s.finds.Allow() {
		return offer.Result{}, fmt.Errorf("%w: %d queries at once, and %d a second", api.ErrBusy, shimFindBurst, shimFinds)
	}
	res, err := s.discovery().Seek(ctx, req, tell)
	if errors.Is(err, api.ErrNobody) { // what others said is for the node's owner
		s.d.deps.Log.Debug("nobody answers what a sliver asks", "sliver", s.who.Name, "err", err)
		return offer.Result{}, api.ErrNobody
	}
	return res, err
}

func (s shim) Self(context.Context) (api.Self, error) {
	if err := s.may(1); err != nil {
		return api.Self{}, err
	}
	return api.Self{Sliver: s.who.Name, Slice: string(s.who.Tenant()), Label: s.who.Label, Owner: s.who.Owner,
		Node: s.d.deps.Key.Principal(), Name: s.d.cfg.Name, Shim: api.ShimVersion}, nil
}

func (s shim) OwnSlivers(ctx context.Context) ([]api.OwnSliver, error) {
	if err := s.may(1); err != nil {
		return nil, err
	}
	entries, err := look(ctx, s.d, func(l *lease.Ledger) []lease.Entry { return l.Slivers(s.who.Owner, s.who.Label) })
	out := []api.OwnSliver{}
	now := s.d.time.now().Unix()
	for _, e := range entries {
		o := s.d.sliverOf(e, now)
		out = append(out, api.OwnSliver{Sliver: e.Sliver, Node: s.d.deps.Key.Principal(), State: o.Run, Public: o.Public, Ports: e.Ports, Self: e.Sliver == s.who.Name})
	}
	return out, err
}

func (s shim) Lease(ctx context.Context) (api.OwnLease, error) {
	if err := s.may(1); err != nil {
		return api.OwnLease{}, err
	}
	return s.ownLease(ctx)
}

func (s shim) ownLease(ctx context.Context) (api.OwnLease, error) {
	e, err := look(ctx, s.d, func(l *lease.Ledger) lease.Entry {
		e, _ := l.Sliver(s.who.Name)
		return e
	})
	switch {
	case err != nil:
		return api.OwnLease{}, err
	case !e.State.Live():
		return api.OwnLease{}, api.ErrNotRunning
	}
	o := s.d.sliverOf(e, s.d.time.now().Unix())
	return api.OwnLease{Lease: e.Lease, From: e.Term.From, Until: e.Term.Until, Left: o.Left, State: e.State.String(), RSet: e.RSet}, nil
}

func (s shim) Offers(ctx context.Context, since int64, tell func(offer.Found) error) error {
	if err := s.may(shimOffersCost); err != nil {
		return err
	}
	now := s.d.deps.Clock.Wall()
	for _, o := range s.d.arrivals.since(since, now.Unix(), s.d.view()) {
		if err := tell(offer.NewFound(*o, offer.View, now)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}
