// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"testing"
	"time"
)

// Strangers are carried by nobody.
func TestAdmit(t *testing.T) {
	tr := newTree(nil, "", time.Second)
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
	tr := newTree(nil, "", time.Second)
	for n := range uint64(1000) {
		if n != 500 {
			tr.take(line{Messages: []message{{N: n + 7}, {N: n}}}, "a")
		}
	}
	if tr.self.Has != 1006 || len(tr.stream) != kept || tr.missed != 1 {
		t.Errorf("has %d, keeps %d, missed %d", tr.self.Has, len(tr.stream), tr.missed)
	}
}

// What the source did not sign is taken from nobody, and nothing before its key is known,
// which no other node's sliver can tell.
func TestOnlyTheSourcesMessagesAreTaken(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTree(nil, "p1", time.Second)
	other := sliver{ID: "a", Node: "p2", Name: "n2", Path: []string{"source", "a"}, Room: 1, Key: make([]byte, ed25519.PublicKeySize)}
	tr.know(&other)
	if on, _ := tr.best(); on != nil || tr.key != nil {
		t.Fatal("another's key is the source's")
	}
	tr.know(&sliver{ID: "source", Node: "p1", Name: "n1", Key: public})
	if on, _ := tr.best(); on == nil {
		t.Fatal("nobody to hang on")
	}
	good := message{N: 1, Data: []byte("x")}
	good.Sig = ed25519.Sign(private, good.signed())
	for what, m := range map[string]message{
		"altered":    {N: 1, Data: []byte("y"), Sig: good.Sig},
		"renamed":    {N: 2, Data: []byte("x"), Sig: good.Sig},
		"not at all": {N: 1, Data: []byte("x")},
	} {
		if err := tr.next(line{Path: other.Path, Messages: []message{m}}, other, 0, 0); err == nil || tr.self.Has != 0 {
			t.Errorf("signed, %s: taken, %v", what, err)
		}
	}
	if err := tr.next(line{Path: other.Path, Messages: []message{good}}, other, 0, 0); err != nil || tr.self.Has != 1 {
		t.Errorf("what the source signed: %v", err)
	}
}
