// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/keep"
)

// charges are the slices that this node keeps at strength for their owners, with its
// own key under their grants.
type charges struct {
	d     *Daemon
	store chargeStore

	mu       sync.Mutex
	ctx      context.Context // of the daemon's run; nil before and after
	by       map[sliceKey]*charged
	admitted map[lease.Principal]time.Time // until when an owner may hand one over
	wait     sync.WaitGroup
}

func openCharges(d *Daemon) *charges {
	c := &charges{d: d, store: chargeStore{filepath.Join(d.cfg.State, "charges"), d.deps.Log}, by: map[sliceKey]*charged{}, admitted: map[lease.Principal]time.Time{}}
	now := d.time.now()
	for _, st := range c.store.load(now) {
		a, err := lease.OpenAuthority(st.Charge.Authority)
		if err != nil {
			d.deps.Log.Warn("a slice that was kept is not any more", "slice", st.Charge.Slice, "err", err)
			continue
		}
		c.by[sliceKey{st.Charge.Owner, st.Charge.Slice}] = newCharged(c, keep.New(now, st, a.Until), a)
	}
	return c
}

// run keeps all charges until ctx ends.
func (c *charges) run(ctx context.Context) {
	c.mu.Lock()
	c.ctx = ctx
	for _, k := range c.by {
		c.begin(k)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.ctx = nil
	c.mu.Unlock()
	c.wait.Wait()
}

// begin has a charge be kept, once. It is called with mu held.
func (c *charges) begin(k *charged) {
	if c.ctx == nil || !k.takeUp() {
		return
	}
	ctx := c.ctx
	c.wait.Go(func() { k.run(ctx) })
}

// welcome says why an owner may hand nothing over. It is called with mu held.
func (c *charges) welcome(owner lease.Principal) error {
	now := c.d.deps.Clock.Wall()
	if until, ok := c.admitted[owner]; ok && now.Before(until) {
		return nil
	}
	if c.d.cfg.Keep.lets(owner) {
		return nil
	}
	return fmt.Errorf("%w: its owner lets nobody but those who are named in [keep] of its configuration, or ask at its socket", api.ErrNotKept)
}

// Hand takes a charge from its owner: who has proved the key that owns the slice. A
// grant alone is no secret, and shows nothing about who hands it over.
func (c *charges) Hand(ctx context.Context, by api.Caller, charge keep.Charge) (api.Kept, error) {
	charge.Owner = by.Principal
	now := c.d.time.now()
	if _, far := c.d.time.step(); far {
		return api.Kept{}, fmt.Errorf("%w: its clock was set; its owner has yet to accept it", api.ErrAgain)
	}
	key := sliceKey{charge.Owner, charge.Slice}
	if err := c.knows(key); err != nil {
		return api.Kept{}, err
	}
	a, err := charge.Check(c.d.deps.Key.Principal(), now)
	for _, not := range []error{lease.ErrGrant, lease.ErrNotHolder, lease.ErrLapsed, lease.ErrRevoked} {
		if errors.Is(err, not) {
			return api.Kept{}, fmt.Errorf("%w: %w", api.ErrNotGranted, err)
		}
	}
	if err != nil {
		return api.Kept{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	if newest, err := c.d.newest(ctx, a.Record); err == nil {
		if a, err = a.On(newest); err == nil {
			err = c.allowed(a, charge)
		}
		if err != nil {
			return api.Kept{}, fmt.Errorf("%w: %w", api.ErrNotGranted, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.by[key]; k != nil && k.standing().Over == "" {
		if err := k.change(charge, a); err != nil {
			return api.Kept{}, fmt.Errorf("%w: %w", api.ErrAgain, err)
		}
		c.begin(k) // it may have ended between the look at it and its change
		return k.kept(), nil
	}
	if err := c.welcome(charge.Owner); err != nil { // again: it may have ended meanwhile
		return api.Kept{}, err
	}
	if err := c.room(charge.Owner); err != nil {
		return api.Kept{}, err
	}
	st := keep.Begin(now, charge)
	if err := c.store.put(st); err != nil {
		return api.Kept{}, fmt.Errorf("%w: writing the charge down: %w", api.ErrAgain, err)
	}
	k := newCharged(c, keep.New(now, st, a.Until), a)
	c.by[key] = k
	c.begin(k)
	c.d.deps.Log.Info("a slice is kept", "slice", charge.Slice, "owner", charge.Owner, "want", charge.Want)
	return k.kept(), nil
}

// knows says why nothing is looked up for who hands a slice over: its owner is not let,
// and it is not kept already.
func (c *charges) knows(key sliceKey) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.by[key]; k != nil && k.standing().Over == "" {
		return nil
	}
	return c.welcome(key.owner)
}

// room makes place for one more: what is over goes. It is called with mu held.
func (c *charges) room(owner lease.Principal) error {
	all, own := 0, 0
	var over []sliceKey
	for key, k := range c.by {
		switch {
		case k.standing().Over != "":
			over = append(over, key)
			continue
		case key.owner == owner:
			own++
		}
		all++
	}
	// Nobody's charges that are over take room from what is kept, the oldest go first.
	ended := func(k sliceKey) int64 { return c.by[k].standing().Ended }
	slices.SortFunc(over, func(a, b sliceKey) int { return cmp.Compare(ended(b), ended(a)) })
	told, left := map[lease.Principal]int{}, maxCharges-all-1
	for _, key := range over {
		if told[key.owner]++; told[key.owner] <= maxChargesEach && left > 0 {
			left--
			continue
		}
		if err := c.store.drop(key); err != nil {
			return fmt.Errorf("%w: %w", api.ErrAgain, err)
		}
		delete(c.by, key)
	}
	if all >= maxCharges || own >= maxChargesEach {
		return fmt.Errorf("%w: it keeps %d slices, %d of them yours, limits %d and %d", api.ErrBusy, all, own, maxCharges, maxChargesEach)
	}
	return nil
}

// allowed reports whether a grant lets this node do now what it takes.
func (c *charges) allowed(a lease.Authority, of keep.Charge) error {
	for _, verb := range []lease.Verbs{lease.VerbRun, lease.VerbRenew, lease.VerbStop} {
		err := a.Allows(lease.Deed{By: c.d.deps.Key.Principal(), Owner: of.Owner, Slice: of.Slice, Any: verb, At: c.d.time.now().Unix()})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *charges) Kept(_ context.Context, by api.Caller) ([]api.Kept, error) {
	return c.list(func(k sliceKey) bool { return k.owner == by.Principal }), nil
}

func (c *charges) AllKept(context.Context) ([]api.Kept, error) {
	return c.list(func(sliceKey) bool { return true }), nil
}

func (c *charges) list(fits func(sliceKey) bool) []api.Kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []api.Kept{}
	for key, k := range c.by {
		if fits(key) {
			out = append(out, k.kept())
		}
	}
	slices.SortFunc(out, func(a, b api.Kept) int {
		return cmp.Or(strings.Compare(a.Slice, b.Slice), slices.Compare(a.Owner[:], b.Owner[:]))
	})
	return out
}

func (c *charges) Drop(_ context.Context, by api.Caller, slice string) (api.Kept, error) {
	return c.drop(sliceKey{by.Principal, slice}, "its owner ended it")
}

func (c *charges) DropOf(_ context.Context, owner lease.Principal, slice string) (api.Kept, error) {
	return c.drop(sliceKey{owner, slice}, "the owner of this node ended it")
}

func (c *charges) drop(key sliceKey, why string) (api.Kept, error) {
	c.mu.Lock()
	k := c.by[key]
	c.mu.Unlock()
	if k == nil {
		return api.Kept{}, api.ErrNoCharge
	}
	if err := k.lapse(why); err != nil {
		return api.Kept{}, fmt.Errorf("%w: %w", api.ErrAgain, err)
	}
	return k.kept(), nil
}

func (c *charges) Admit(_ context.Context, owner lease.Principal) (api.Admitted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.d.deps.Clock.Wall()
	for p, until := range c.admitted {
		if !now.Before(until) {
			delete(c.admitted, p)
		}
	}
	if len(c.admitted) >= maxCharges {
		return api.Admitted{}, api.ErrBusy
	}
	c.admitted[owner] = now.Add(admitFor)
	return api.Admitted{Node: c.d.deps.Key.Principal(), Seconds: int64(admitFor / time.Second)}, nil
}

var errStored = errors.New("what is kept could not be written down; it is as it was")
