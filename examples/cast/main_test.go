// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

// Strangers are carried by nobody.
func TestAdmit(t *testing.T) {
	tr := newTree(nil, time.Second)
	tr.self = sliver{ID: "me", Path: []string{"source", "mid", "me"}}
	for _, id := range []string{"mid", "a", "b", "c", "d", "e"} {
		tr.others[id] = &sliver{ID: id, Addr: "192.0.2.7:7100"}
	}
	for _, c := range []struct {
		id, from string
		ok       bool
	}{
		{"a", "192.0.2.8:4000", false}, // from elsewhere
		{"x", "192.0.2.7:4000", false}, // unknown
		{"mid", "192.0.2.7:4000", false},
		{"a", "192.0.2.7:4000", true},
		{"a", "192.0.2.7:4001", false}, // twice
		{"b", "192.0.2.7:4000", true},
		{"c", "192.0.2.7:4000", true},
		{"d", "[::ffff:192.0.2.7]:4000", true},
		{"e", "192.0.2.7:4000", false}, // full
	} {
		if ok := tr.admit(c.id, c.from); ok != c.ok {
			t.Errorf("%s from %s: %v", c.id, c.from, ok)
		}
	}
	tr.take(line{}, "nobody")
	tr.carried = map[string]bool{}
	if tr.admit("a", "192.0.2.7:4000") {
		t.Error("who hangs on nobody carries others")
	}
}

// What is missed is counted, what came already is not taken again, and no more is kept
// than there is room for.
func TestTake(t *testing.T) {
	tr := newTree(nil, time.Second)
	for n := range uint64(1000) {
		if n != 500 {
			tr.take(line{Messages: []message{{N: n + 7}, {N: n}}}, "a")
		}
	}
	if tr.self.Has != 1006 || len(tr.stream) != kept || tr.missed != 1 {
		t.Errorf("has %d, keeps %d, missed %d", tr.self.Has, len(tr.stream), tr.missed)
	}
}
