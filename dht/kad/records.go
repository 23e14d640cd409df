// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	record "github.com/libp2p/go-libp2p-record"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/lease"
)

// Slice records are the values of this DHT, and nothing else is: the one that
// counts is kept by the peers nearest to its key, for two days unless it comes
// again.

// PutRecord has the peers nearest to its key keep a record. It returns ErrAlone
// when there is no peer to keep it, ErrNotKept when none did. When it is time to
// pass over who is silent, half of them are enough.
func (d *DHT) PutRecord(ctx context.Context, r lease.OpenedSlice) error {
	if err := d.put(ctx, dht.RecordKey(r.Owner, r.Slice), r.Bytes); err != nil {
		return fmt.Errorf("publishing the record of %q: %w", r.Slice, err)
	}
	return nil
}

func (d *DHT) put(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	rec := record.MakePutRecord(key, value)
	if err := d.store.Put(ctx, key, rec); err != nil { // not even here, if it is no good or an older one
		return err
	}
	w, err := d.walk(ctx, key, dht.LookupClosest, d.nodes(key), nil)
	if err != nil {
		return err
	}
	results := make(chan error, len(w.closest))
	for _, id := range w.closest {
		d.give(id, rec, results)
	}
	hurry := time.NewTimer(d.bound())
	defer hurry.Stop()
	late, taken := false, 0
	for left := len(w.closest); left > 0 && !(late && 2*taken >= len(w.closest)); {
		select {
		case err := <-results:
			if left--; err == nil {
				taken++
			}
		case <-hurry.C:
			late = true
		case <-ctx.Done():
			left = 0
		}
	}
	if taken == 0 {
		return ErrNotKept
	}
	return nil
}

// give has one peer keep a record, in the background. What it says of the record
// says nothing of its routing.
func (d *DHT) give(id peer.ID, rec *recpb.Record, results chan<- error) {
	if err := d.background(func(ctx context.Context) { results <- d.messenger.PutValue(ctx, id, rec) }); err != nil {
		results <- err
	}
}

// Record looks a slice's record up: the newest that the peers asked have. Those of
// the nearest that have it not, or an older one, are given it.
func (d *DHT) Record(ctx context.Context, owner lease.Principal, label string) (lease.OpenedSlice, error) {
	b, err := d.get(ctx, dht.RecordKey(owner, label))
	if len(b) > 0 { // also of a walk that was cut
		return lease.OpenSlice(b)
	}
	return lease.OpenedSlice{}, fmt.Errorf("looking up slice %q@%s: %w", label, owner.Short(), err)
}

func (d *DHT) get(ctx context.Context, key string) (newest []byte, err error) {
	short, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	var values [][]byte
	if rec, err := d.store.Get(short, key); err == nil && rec != nil && dht.CheckRecord(d.now(), key, rec.GetValue()) == nil {
		values = append(values, rec.GetValue())
	}
	w, err := d.walk(short, key, dht.LookupClosest, d.values(key), nil)
	for _, v := range w.values {
		values = append(values, v)
	}
	best, none := dht.NewestRecord(values)
	switch {
	case none != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case none != nil && errors.Is(err, ErrAlone):
		return nil, err
	case none != nil:
		return nil, ErrNoRecord
	}
	newest = values[best]
	rec := record.MakePutRecord(key, newest)
	results := make(chan error, len(w.closest)) // nobody reads them
	for _, id := range w.closest {
		if !bytes.Equal(w.values[id], newest) {
			d.give(id, rec, results)
		}
	}
	return newest, nil
}

// validator is the DHT's view of package dht's rules.
type validator struct{ now func() time.Time }

func (v validator) Validate(key string, value []byte) error {
	return dht.CheckRecord(v.now(), key, value)
}
func (v validator) Select(_ string, values [][]byte) (int, error) { return dht.NewestRecord(values) }

// values keeps a bounded number of them in memory. What is lost with the power
// comes again from those who care.
type values struct {
	ds.Batching
	mu    sync.Mutex
	limit int
	order []ds.Key // oldest first
	have  map[ds.Key]bool
}

func newValues(limit int) *values {
	return &values{Batching: dssync.MutexWrap(ds.NewMapDatastore()), limit: limit, have: map[ds.Key]bool{}}
}

func (v *values) Put(ctx context.Context, key ds.Key, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.Batching.Put(ctx, key, value); err != nil || v.have[key] {
		return err
	}
	v.have[key] = true
	if v.order = append(v.order, key); len(v.order) <= v.limit {
		return nil
	}
	oldest := v.order[0]
	v.order = v.order[1:]
	delete(v.have, oldest)
	return v.Batching.Delete(ctx, oldest)
}
