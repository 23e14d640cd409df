// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"errors"
	"testing"
	"time"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
)

// recordModel is a DHT in which every living node keeps everything.
type recordModel struct {
	now  time.Time
	held []map[string][]byte
	dead map[int]bool
}

func (m *recordModel) Put(node int, key string, value []byte) error {
	if err := dht.CheckRecord(m.now, key, value); err != nil {
		return err
	}
	for i, held := range m.held {
		if m.dead[i] {
			continue
		}
		if old := held[key]; old != nil {
			if best, err := dht.NewestRecord([][]byte{value, old}); err != nil || best != 0 {
				continue
			}
		}
		held[key] = value
	}
	return nil
}

func (m *recordModel) PutRecord(node int, r lease.OpenedSlice) error {
	return m.Put(node, dht.RecordKey(r.Owner, r.Slice), r.Bytes)
}

func (m *recordModel) Record(node int, owner lease.Principal, label string) (lease.OpenedSlice, error) {
	key := dht.RecordKey(owner, label)
	var values [][]byte
	for i, held := range m.held {
		if b := held[key]; !m.dead[i] && dht.CheckRecord(m.now, key, b) == nil {
			values = append(values, b)
		}
	}
	best, err := dht.NewestRecord(values)
	if err != nil {
		return lease.OpenedSlice{}, err
	}
	return lease.OpenSlice(values[best])
}

func (m *recordModel) Kill(node int)           { m.dead[node] = true }
func (m *recordModel) Now() time.Time          { return m.now }
func (m *recordModel) Advance(d time.Duration) { m.now = m.now.Add(d) }

func TestRecordModelConforms(t *testing.T) {
	dhttest.RunRecords(t, func(t *testing.T, nodes int) dhttest.RecordNet {
		m := &recordModel{now: time.Unix(1_800_000_000, 0), dead: map[int]bool{}}
		for range nodes {
			m.held = append(m.held, map[string][]byte{})
		}
		return m
	})
}

func TestRecordsUnderTheirKeyOnly(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := dhttest.SliceRecord(t, now, "alice", "web", 1)
	if err := dht.CheckRecord(now, dht.RecordKey(r.Owner, "web"), r.Bytes); err != nil {
		t.Error(err)
	}
	for _, key := range []string{dht.RecordKey(r.Owner, ""), dht.RecordKey(lease.Principal{1}, "web"), "/slice/", ""} {
		if err := dht.CheckRecord(now, key, r.Bytes); !errors.Is(err, dht.ErrRecordKey) {
			t.Errorf("under %q: %v", key, err)
		}
	}
	if err := dht.CheckRecord(time.Unix(r.Until, 0), dht.RecordKey(r.Owner, "web"), r.Bytes); !errors.Is(err, lease.ErrLapsed) {
		t.Errorf("at its end: %v", err)
	}
}

func TestTheNewestOfSeveral(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	value := func(sequence uint64) []byte {
		return dhttest.SliceRecord(t, now, "alice", "web", sequence).Bytes
	}
	if i, err := dht.NewestRecord([][]byte{value(2), {1, 2}, value(3), value(1), value(3), nil}); i != 2 || err != nil {
		t.Errorf("chose %d, %v", i, err)
	}
	if _, err := dht.NewestRecord([][]byte{nil, {0xff}}); err == nil {
		t.Error("chose among none")
	}
}

func FuzzCheckRecord(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	r := dhttest.SliceRecord(f, now, "alice", "web", 1)
	f.Add(dht.RecordKey(r.Owner, "web"), r.Bytes)
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if dht.CheckRecord(now, key, value) != nil {
			return
		}
		if i, err := dht.NewestRecord([][]byte{value}); i != 0 || err != nil {
			t.Errorf("a record that may be stored is none: %v", err)
		}
	})
}
