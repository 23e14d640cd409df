// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/routing"

	"croft/dht"
	"croft/lease"
)

// Slice records are the values of this DHT, and nothing else is: the one that
// counts is kept by the peers nearest to its key, for two days unless it comes
// again.

const (
	// MaxValues is the number of values that this node keeps for others; a new
	// one drops the oldest. With the largest records that is 32 MiB.
	MaxValues = 4096
	// recordTimeout bounds one look-up or publication: after it, what was found
	// so far counts.
	recordTimeout = 4 * time.Second
)

// ErrNoRecord: nobody who was reached has a record of that slice.
var ErrNoRecord = errors.New("no record of the slice is known")

// PutRecord has the peers nearest to its key keep a record. It returns ErrAlone
// when there is no peer to keep it.
func (d *DHT) PutRecord(ctx context.Context, r lease.OpenedSlice) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err := d.dht.PutValue(ctx, dht.RecordKey(r.Owner, r.Slice), r.Bytes)
	if errors.Is(err, kb.ErrLookupFailure) {
		err = ErrAlone
	}
	if err != nil {
		return fmt.Errorf("publishing the record of %q: %w", r.Slice, err)
	}
	return nil
}

// Record looks a slice's record up: the newest that the peers asked have.
func (d *DHT) Record(ctx context.Context, owner lease.Principal, label string) (lease.OpenedSlice, error) {
	walk, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	b, err := d.dht.GetValue(walk, dht.RecordKey(owner, label))
	if len(b) > 0 { // also of a walk that was cut
		return lease.OpenSlice(b)
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil, errors.Is(err, routing.ErrNotFound), errors.Is(err, context.DeadlineExceeded):
		err = ErrNoRecord
	case errors.Is(err, kb.ErrLookupFailure):
		err = ErrAlone
	}
	return lease.OpenedSlice{}, fmt.Errorf("looking up slice %q@%s: %w", label, owner.Short(), err)
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
