// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	nodedoor "croft/node/door"
)

// Slices take over what the founders brought; the founders die; a tenant that goes is
// followed by the built-in within the same question.
func TestRoles(t *testing.T) {
	r := play(t, `nodes 16
join wave=4 every=5s
at 16s  slice finder  nodes=6 serves=discovery term=10m
at 17s  slice book    nodes=6 serves=names term=10m
at 18s  slice compass nodes=6 serves=topology term=10m
at 19s  slice doctor  nodes=6 serves=monitor term=10m
at 20s  slice herald  nodes=6 serves=bootstrap term=10m
at 25s  try discovery slice=finder
at 25s  try names slice=book
at 25s  try topology slice=compass
at 25s  try monitor slice=doctor
at 25s  try bootstrap slice=herald
at 28s  promote discovery slice=finder
at 28s  promote names slice=book
at 28s  promote topology slice=compass
at 28s  promote monitor slice=doctor
at 28s  promote bootstrap slice=herald
at 30s  ask discovery slice=finder count=40
at 30s  ask names slice=book count=40
at 30s  ask topology slice=compass count=40
at 30s  ask monitor slice=doctor count=40
at 30s  ask bootstrap slice=herald count=40
at 35s  fault kill first=2 power=yes
at 40s  fault kill count=2 for=3s
at 60s  stop doctor
end 75s
expect role discovery success = 100%
expect role names success = 100%
expect role topology success = 100%
expect role monitor success = 100%
expect role bootstrap success = 100%
expect role discovery share >= 85%
expect role names share >= 85%
expect role topology share >= 85%
expect role bootstrap share >= 85%
expect safety
`)
	if v, ok := r.Value("role", "monitor", "share"); !ok || v.Value < 0.5 || v.Value > 0.9 {
		t.Errorf("of a tenant that went after three quarters of the questions %v were answered by it", v)
	}
}

// A sliver reaches the door that was made last, and none when it was taken away.
func TestDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		of := doors{&life{machine: m}}
		open := func() net.Listener {
			t.Helper()
			l, _, err := of.Open("s", nodedoor.Users{})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		reached := func(l net.Listener) {
			t.Helper()
			go func() {
				c, err := m.knock(t.Context(), "s")
				if err != nil {
					t.Error(err)
					return
				}
				c.Close()
			}()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		reached(open())
		second := open()
		reached(second)
		second.Close()
		if _, err := m.knock(t.Context(), "s"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a door that was shut: %v", err)
		}
		third := open()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.knock(ctx, "s"); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody opened, and nobody waits: %v", err)
		}
		if err := of.Remove("s"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.knock(t.Context(), "s"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a door that was taken away: %v", err)
		}
		third.Close()
		of.l.dead.Store(true)
		if _, _, err := of.Open("s", nodedoor.Users{}); !errors.Is(err, errDead) {
			t.Errorf("the dead made a door: %v", err)
		}
	})
}
