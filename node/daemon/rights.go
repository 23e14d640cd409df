// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"croft/lease"
	"croft/node/api"
)

// rights is what a caller may do with slivers on this node: all with those of
// his own slices, and what he shows that he may with those of another's.
type rights struct {
	who   lease.Principal
	shown *lease.Authority // nil: for himself; on the record that counts here
}

// rights judges what a caller shows, but for the deed.
func (d *Daemon) rights(ctx context.Context, by api.Caller) (rights, error) {
	r := rights{who: by.Principal}
	if len(by.Authority) == 0 {
		return r, nil
	}
	a, err := lease.OpenAuthority(by.Authority)
	if err == nil && a.Holder != by.Principal {
		err = fmt.Errorf("granted to %s: %w", a.Holder.Short(), lease.ErrNotHolder)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", api.ErrNotGranted, err)
	}
	newest, err := d.newest(ctx, a.Record)
	if err != nil {
		return r, err
	}
	if a, err = a.On(newest); err != nil {
		return r, fmt.Errorf("%w: %w", api.ErrNotGranted, err)
	}
	r.shown = &a
	return r, nil
}

// may reports whether the caller may do one of the verbs at a sliver. Whoever
// holds a lease for another's slice may see its sliver; what else, the grant
// says. A sliver that the caller may not even see is none to him.
func (r rights) may(e lease.Entry, any lease.Verbs, now int64) error {
	switch {
	case e.Owner == r.who, e.Holder == r.who && any == lease.AllVerbs:
		return nil
	case r.shown == nil && e.Holder == r.who:
		return fmt.Errorf("%w: show what grants you %s", api.ErrNotGranted, any)
	case r.shown == nil, r.shown.Issuer != e.Owner:
		return api.ErrNoSliver
	}
	err := r.shown.Allows(lease.Deed{By: r.who, Owner: e.Owner, Slice: e.Slice, Any: any, At: now})
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrNotGranted, err)
	}
	return nil
}

// stands reports whether what the caller shows, if anything, allows anything now.
func (r rights) stands(now int64) error {
	if r.shown == nil {
		return nil
	}
	err := r.shown.Allows(lease.Deed{By: r.who, Owner: r.shown.Issuer, Slice: r.shown.Slice, Any: lease.AllVerbs, At: now})
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrNotGranted, err)
	}
	return nil
}

// entries finds what the caller may see.
func (r rights) entries(l *lease.Ledger, now int64) []lease.Entry {
	list := l.Owner(r.who)
	for _, e := range l.Holder(r.who) {
		if e.Owner != r.who {
			list = append(list, e)
		}
	}
	if r.shown == nil {
		return list
	}
	for _, e := range l.Owner(r.shown.Issuer) {
		if e.Holder != r.who && r.may(e, lease.AllVerbs, now) == nil {
			list = append(list, e)
		}
	}
	return list
}

// authority returns what a caller shows, on the record that counts here: the
// ledger judges it by that. What cannot be judged goes on as it is, to be refused.
func (d *Daemon) authority(ctx context.Context, by api.Caller) ([]byte, error) {
	r, err := d.rights(ctx, by)
	switch {
	case errors.Is(err, api.ErrNotGranted):
		return by.Authority, nil
	case err != nil || r.shown == nil:
		return nil, err
	}
	return r.shown.Bytes(), nil
}

// session returns a context that ends when the caller may no longer do what he
// began: with the grant's term, or with a record that does not list it.
func (d *Daemon) session(ctx context.Context, r rights, e lease.Entry, verb lease.Verbs) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if e.Owner == r.who {
		return ctx, func() { cancel(nil) }
	}
	go func() {
		again := time.NewTicker(recordAge)
		defer again.Stop()
		over := time.NewTimer(time.Duration(min(r.shown.Until, r.shown.Record.Until)-d.time.now().Unix()) * time.Second)
		defer over.Stop()
		for {
			changed := d.slices.watch()
			newest, known, _ := d.slices.get(keyOf(r.shown.Record), time.Time{})
			if !known { // forgotten: it had lapsed
				newest = r.shown.Record
			}
			a, err := r.shown.On(newest)
			if err == nil {
				err = rights{r.who, &a}.may(e, verb, d.time.now().Unix())
			}
			if err != nil {
				cancel(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-over.C:
			case <-again.C:
				d.refresh(keyOf(newest))
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// newest returns the record that counts, of the one shown, those known and what
// the DHT has. The DHT is waited for only if it was never asked before; what is
// known for a while is looked up beside, for the next time.
func (d *Daemon) newest(ctx context.Context, shown lease.OpenedSlice) (lease.OpenedSlice, error) {
	k := keyOf(shown)
	hosted, err := d.hosts(ctx, k)
	if err != nil {
		return shown, err
	}
	now := d.deps.Clock.Wall()
	if shown, err = d.slices.put(shown, hosted, now); err != nil {
		return shown, err
	}
	switch _, _, fresh := d.slices.get(k, now.Add(-recordAge)); {
	case fresh:
		return shown, nil
	case d.slices.never(k):
		ask, cancel := context.WithTimeout(ctx, recordWait)
		defer cancel()
		d.lookUp(ask, k)
	default:
		d.refresh(k)
	}
	if r, known, _ := d.slices.get(k, now); known {
		return r, nil
	}
	return shown, nil
}

// refresh looks a record up beside whatever goes on.
func (d *Daemon) refresh(k sliceKey) {
	select {
	case d.lookups <- struct{}{}:
	default:
		return // enough are under way; the next who needs it asks again
	}
	d.looking.Go(func() {
		defer func() { <-d.lookups }()
		ctx, cancel := context.WithTimeout(context.Background(), recordWait)
		defer cancel()
		d.lookUp(ctx, k)
	})
}

// lookUp asks the DHT for a slice's record and takes it to account.
func (d *Daemon) lookUp(ctx context.Context, k sliceKey) {
	if d.deps.Slices == nil {
		return
	}
	d.slices.asked(k, d.deps.Clock.Wall()) // also if nobody answers: once is enough for a while
	r, err := d.deps.Slices.Record(ctx, k.owner, k.label)
	if err == nil && keyOf(r) == k {
		_, err = d.slices.put(r, false, d.deps.Clock.Wall())
	}
	if err != nil {
		d.deps.Log.Debug("no slice record from the DHT", "slice", k.label, "owner", k.owner, "err", err)
	}
}

// hosts reports whether a slice has leases here.
func (d *Daemon) hosts(ctx context.Context, k sliceKey) (bool, error) {
	return look(ctx, d, func(l *lease.Ledger) bool {
		for _, e := range l.Owner(k.owner) {
			if e.State.Live() && (k.label == "" || k.label == e.Slice) {
				return true
			}
		}
		return false
	})
}
