// SPDX-License-Identifier: Apache-2.0

package dhttest

import (
	"bytes"
	"testing"
	"time"

	"croft/dht"
	"croft/lease"
)

// RecordNet is a DHT that keeps slice records over several nodes, numbered from 0.
type RecordNet interface {
	PutRecord(node int, r lease.OpenedSlice) error
	// Put stores what anybody may claim to be one.
	Put(node int, key string, value []byte) error
	Record(node int, owner lease.Principal, label string) (lease.OpenedSlice, error)
	// Kill makes a node answer nothing any more.
	Kill(node int)
	Now() time.Time
	Advance(time.Duration)
}

// SliceRecord seals a record of a named owner's slice that holds for an hour.
func SliceRecord(t testing.TB, now time.Time, owner, label string, sequence uint64, grants ...lease.ID) lease.OpenedSlice {
	t.Helper()
	key := KeyOf(owner)
	r, err := lease.SealSlice(lease.SliceRecord{Owner: key.Principal(), Slice: label, Sequence: sequence,
		Made: now.Unix(), Until: now.Unix() + 3600, Grants: grants}, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// RunRecords checks a net of eight nodes, freshly made for each property.
func RunRecords(t *testing.T, open func(t *testing.T, nodes int) RecordNet) {
	const nodes = 8
	for _, c := range []struct {
		name  string
		check func(t *testing.T, n RecordNet)
	}{
		{"a record is found from everywhere", recordFound},
		{"the higher sequence takes the lower one's place", recordReplaced},
		{"an older record, brought again, changes nothing", recordReplayed},
		{"nobody's record takes another's place", recordForged},
		{"a record lapses by itself", recordLapses},
		{"dead holders are not missed", recordDeadHolders},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t, nodes)) })
	}
}

func put(t *testing.T, n RecordNet, node int, r lease.OpenedSlice) {
	t.Helper()
	if err := n.PutRecord(node, r); err != nil {
		t.Fatal(err)
	}
}

func wantRecord(t *testing.T, n RecordNet, node int, want lease.OpenedSlice) {
	t.Helper()
	got, err := n.Record(node, want.Owner, want.Slice)
	if err != nil || !bytes.Equal(got.Bytes, want.Bytes) {
		t.Errorf("node %d: found sequence %d of %q, %v, want %d", node, got.Sequence, got.Slice, err, want.Sequence)
	}
}

func wantNoRecord(t *testing.T, n RecordNet, node int, owner, label string) {
	t.Helper()
	if got, err := n.Record(node, KeyOf(owner).Principal(), label); err == nil {
		t.Errorf("node %d: found sequence %d of %q", node, got.Sequence, got.Slice)
	}
}

func recordFound(t *testing.T, n RecordNet) {
	web, db := SliceRecord(t, n.Now(), "alice", "web", 1), SliceRecord(t, n.Now(), "alice", "db", 4)
	all, same := SliceRecord(t, n.Now(), "alice", "", 2), SliceRecord(t, n.Now(), "bob", "web", 9)
	for i, r := range []lease.OpenedSlice{web, db, all, same} {
		put(t, n, i, r)
	}
	for i := range 8 {
		for _, r := range []lease.OpenedSlice{web, db, all, same} {
			wantRecord(t, n, i, r)
		}
	}
	wantNoRecord(t, n, 3, "carol", "web")
	wantNoRecord(t, n, 3, "alice", "other")
}

func recordReplaced(t *testing.T, n RecordNet) {
	put(t, n, 0, SliceRecord(t, n.Now(), "alice", "web", 1, lease.ID{1}))
	second := SliceRecord(t, n.Now(), "alice", "web", 2)
	put(t, n, 5, second)
	for i := range 8 {
		wantRecord(t, n, i, second)
	}
}

func recordReplayed(t *testing.T, n RecordNet) {
	old, revoked := SliceRecord(t, n.Now(), "alice", "web", 1, lease.ID{1}), SliceRecord(t, n.Now(), "alice", "web", 2)
	put(t, n, 0, old)
	put(t, n, 0, revoked)
	_ = n.PutRecord(3, old) // may be refused or taken
	for i := range 8 {
		if i != 3 { // who insists on the older fools itself
			wantRecord(t, n, i, revoked)
		}
	}
}

func recordForged(t *testing.T, n RecordNet) {
	good := SliceRecord(t, n.Now(), "alice", "web", 1)
	put(t, n, 0, good)
	key := dht.RecordKey(good.Owner, "web")
	stranger := SliceRecord(t, n.Now(), "mallory", "web", 9)
	broken := bytes.Clone(SliceRecord(t, n.Now(), "alice", "web", 9).Bytes)
	broken[len(broken)-1] ^= 1
	for name, value := range map[string][]byte{
		"another owner's": stranger.Bytes, "another label's": SliceRecord(t, n.Now(), "alice", "db", 9).Bytes,
		"a broken signature": broken, "nothing": nil, "too much": make([]byte, lease.MaxSliceRecord+1),
	} {
		if err := n.Put(2, key, value); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	wantRecord(t, n, 5, good)
}

func recordLapses(t *testing.T, n RecordNet) {
	r := SliceRecord(t, n.Now(), "alice", "web", 1)
	put(t, n, 0, r)
	n.Advance(time.Hour - time.Second)
	wantRecord(t, n, 4, r)
	n.Advance(time.Second)
	if err := n.PutRecord(1, r); err == nil {
		t.Error("a record that has lapsed was taken")
	}
	wantNoRecord(t, n, 5, "alice", "web")
}

func recordDeadHolders(t *testing.T, n RecordNet) {
	r := SliceRecord(t, n.Now(), "alice", "web", 1)
	put(t, n, 0, r)
	n.Kill(6)
	n.Kill(7)
	wantRecord(t, n, 3, r)
	next := SliceRecord(t, n.Now(), "alice", "web", 2)
	put(t, n, 1, next)
	wantRecord(t, n, 3, next)
}
