// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"croft/dht/kad"
	"croft/lease"
	"croft/node/api"
)

// owned is what owners say of their slices, as callers meet it.
type owned struct{ d *Daemon }

// open reads a record that still says something.
func (o owned) open(record []byte) (lease.OpenedSlice, error) {
	r, err := lease.OpenSlice(record)
	if err == nil && !r.Holds(o.d.deps.Clock.Wall().Unix()) {
		err = fmt.Errorf("record of %q: %w", r.Slice, lease.ErrLapsed)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return r, nil
}

// Tell takes a record to account if the slice is here: the signature says whose
// it is, whoever brings it. Of another slice nothing is kept.
func (o owned) Tell(ctx context.Context, _ api.Caller, record []byte) (api.SliceRecord, error) {
	if o.d.deps.Hosting == nil {
		return api.SliceRecord{}, api.ErrVisitor
	}
	r, err := o.open(record)
	if err != nil {
		return api.SliceRecord{}, err
	}
	hosted, err := o.d.hosts(ctx, keyOf(r))
	if err != nil {
		return api.SliceRecord{}, err
	}
	if _, known, _ := o.d.slices.get(keyOf(r), time.Time{}); hosted || known {
		if r, err = o.d.slices.put(r, hosted, o.d.deps.Clock.Wall()); err != nil {
			return api.SliceRecord{}, err
		}
	}
	return api.SliceRecord{Record: r.Bytes}, nil
}

// Publish has the DHT keep a record.
func (o owned) Publish(ctx context.Context, record []byte) (api.SliceRecord, error) {
	r, err := o.open(record)
	if err != nil {
		return api.SliceRecord{}, err
	}
	if o.d.deps.Slices == nil {
		return api.SliceRecord{}, api.ErrUnreachable
	}
	if err := o.d.deps.Slices.PutRecord(ctx, r); err != nil {
		if errors.Is(err, kad.ErrAlone) || errors.Is(err, kad.ErrNotKept) {
			err = fmt.Errorf("%w: %w", api.ErrUnreachable, err)
		}
		return api.SliceRecord{}, err
	}
	return api.SliceRecord{Record: r.Bytes}, nil
}

// Record looks a record up: what the DHT has, or what this node has if it counts
// for more.
func (o owned) Record(ctx context.Context, owner lease.Principal, label string) (api.SliceRecord, error) {
	k := sliceKey{owner, label}
	best, known, _ := o.d.slices.get(k, time.Time{})
	if o.d.deps.Slices != nil {
		r, err := o.d.deps.Slices.Record(ctx, owner, label)
		switch {
		case err == nil && keyOf(r) == k && (!known || r.Newer(best)):
			best, known = r, true
		case err != nil && !errors.Is(err, kad.ErrNoRecord) && !errors.Is(err, kad.ErrAlone) && !known:
			return api.SliceRecord{}, err
		}
	}
	if !known || !best.Holds(o.d.deps.Clock.Wall().Unix()) {
		return api.SliceRecord{}, fmt.Errorf("slice %q@%s: %w", label, owner.Short(), api.ErrNoRecord)
	}
	return api.SliceRecord{Record: best.Bytes}, nil
}

// republish has the DHT keep the records of the slices that are here, and
// forgets those of slices that are not, once they say nothing any more.
func (d *Daemon) republish(ctx context.Context) {
	tick := time.NewTicker(republishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.republishAll(ctx); err != nil && ctx.Err() == nil {
			d.deps.Log.Warn("slice records were not all published again", "err", err)
		}
	}
}

func (d *Daemon) republishAll(ctx context.Context) error {
	live, err := look(ctx, d, func(l *lease.Ledger) map[sliceKey]bool {
		live := map[sliceKey]bool{}
		for _, e := range l.Leases() {
			if e.State.Live() {
				live[sliceKey{e.Owner, e.Slice}], live[sliceKey{e.Owner, ""}] = true, true
			}
		}
		return live
	})
	if err != nil {
		return err
	}
	now := d.deps.Clock.Wall()
	list, err := d.slices.hosted(func(k sliceKey) bool { return live[k] }, now)
	errs := []error{err}
	for _, r := range list {
		if d.deps.Slices != nil && r.Holds(now.Unix()) {
			errs = append(errs, d.deps.Slices.PutRecord(ctx, r))
		}
	}
	return errors.Join(errs...)
}
