// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht/dhttest"
	"croft/lease"
)

// recordNet is real peers on loopback under a clock that the test moves.
type recordNet struct {
	t   *testing.T
	all []*DHT
	mu  sync.Mutex
	now time.Time
}

func newRecordNet(t *testing.T, nodes int) dhttest.RecordNet {
	t.Helper()
	n := &recordNet{t: t, now: time.Unix(1_800_000_000, 0)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range nodes {
		d := start(t, Config{Server: true, Now: n.Now})
		if n.all = append(n.all, d); i > 0 {
			if _, err := d.Join(ctx, []peer.AddrInfo{info(n.all[0])}); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait(t, "everybody is in the first one's table", func() bool { return n.all[0].Size() >= nodes-1 })
	return n
}

func (n *recordNet) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(n.t.Context(), 20*time.Second)
}

func (n *recordNet) PutRecord(node int, r lease.OpenedSlice) error {
	ctx, cancel := n.context()
	defer cancel()
	return n.all[node].PutRecord(ctx, r)
}

func (n *recordNet) Put(node int, key string, value []byte) error {
	ctx, cancel := n.context()
	defer cancel()
	return n.all[node].put(ctx, key, value)
}

func (n *recordNet) Record(node int, owner lease.Principal, label string) (lease.OpenedSlice, error) {
	ctx, cancel := n.context()
	defer cancel()
	return n.all[node].Record(ctx, owner, label)
}

func (n *recordNet) Kill(node int) { n.all[node].host.Close() }

func (n *recordNet) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *recordNet) Advance(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func TestRecordsConform(t *testing.T) { dhttest.RunRecords(t, newRecordNet) }

func TestRecordsAlone(t *testing.T) {
	d := start(t, Config{Server: true})
	r := dhttest.SliceRecord(t, time.Now(), "alice", "web", 1)
	if err := d.PutRecord(t.Context(), r); !errors.Is(err, ErrAlone) {
		t.Errorf("nobody kept it: %v", err)
	}
	if _, err := d.Record(t.Context(), r.Owner, "db"); !errors.Is(err, ErrAlone) && !errors.Is(err, ErrNoRecord) {
		t.Errorf("looked up alone: %v", err)
	}
}

func TestAVisitorPutsAndLooksUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first := start(t, Config{Server: true})
	visitor, other := start(t, Config{}), start(t, Config{})
	for _, d := range []*DHT{visitor, other} {
		if _, err := d.Join(ctx, []peer.AddrInfo{info(first)}); err != nil {
			t.Fatal(err)
		}
	}
	r := dhttest.SliceRecord(t, time.Now(), "alice", "web", 1)
	if err := visitor.PutRecord(ctx, r); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Record(ctx, r.Owner, "web"); err != nil || got.ID != r.ID {
		t.Errorf("the other visitor found %v, %v", got.Sequence, err)
	}
}

func TestValuesAreBounded(t *testing.T) {
	v := newValues(3)
	for i := range 5 {
		for range 2 { // again is not another
			if err := v.Put(t.Context(), ds.NewKey(fmt.Sprint(i)), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 5 {
		if has, err := v.Has(t.Context(), ds.NewKey(fmt.Sprint(i))); err != nil || has != (i >= 2) {
			t.Errorf("value %d: %v, %v", i, has, err)
		}
	}
}
