// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/slice"
)

// record is of a slice with one sliver, from an hour before until.
func record(t *testing.T, label string, until time.Time) slice.Record {
	t.Helper()
	node := leasetest.Key("node")
	l := lease.Lease{K: lease.KindLease, Node: node.Principal(), RSet: lease.RSet{lease.CPU: 100}, From: until.Unix() - 3600, Until: until.Unix(),
		Holder: leasetest.Who("alice"), Parent: lease.ID{1}, Slice: label, Pool: lease.PoolCommons}
	signed, err := lease.Seal(&l, node)
	if err != nil {
		t.Fatal(err)
	}
	o, err := lease.Open(signed.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return slice.Record{Slice: label, Owner: l.Holder, Slivers: []slice.Sliver{{Node: l.Node, Name: "n1", Lease: o.ID, Sliver: lease.SliverName(o.ID),
		From: l.From, Until: l.Until, RSet: l.RSet, Signed: signed.Bytes()}}}
}

func TestANameIsFreeOnceItsLeasesHaveEnded(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		until time.Time
		free  bool
	}{
		"over":    {now, true},
		"running": {now.Add(time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			var talk bytes.Buffer
			a := &app{home: t.TempDir(), err: &talk}
			if err := a.keep(record(t, "probe", c.until)); err != nil {
				t.Fatal(err)
			}
			got, err := a.newLabel("probe", now)
			if free := err == nil && got == "probe"; free != c.free {
				t.Errorf("%q, %v", got, err)
			}
			if told := strings.Contains(talk.String(), "slice probe ended at"); told != c.free {
				t.Errorf("said %q", talk.String())
			}
			if !exists(a.slicePath("probe")) {
				t.Error("the record is gone before another takes its place")
			}
		})
	}
}

func TestZeroOfAResourceIsNothing(t *testing.T) {
	f := runFlags{nodes: 1, term: time.Hour, rset: "disk=0,memory=64MiB"}
	w, err := f.wish(time.Now(), nil)
	if err != nil || w.RSet[lease.Disk] != 0 || w.RSet[lease.Memory] != 64<<20 || w.RSet[lease.CPU] != 100 {
		t.Errorf("%s, %v", w.RSet, err)
	}
	f.rset = "memory=0"
	if _, err := f.wish(time.Now(), nil); classify(err).code != exitUsage {
		t.Errorf("a sliver without memory: %v", err)
	}
}
