// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"testing"
	"time"

	"croft/gossip"
	"croft/lease"
	"croft/lease/leasetest"
)

func TestNeighboursAreToldThatLeasesBeginAndEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		var heard []gossip.Notice
		owner := leasetest.Who("alice")
		m.hear = func(b []byte) error {
			n, err := gossip.OpenNotice(b, m.Wall())
			if err != nil {
				t.Error(err)
			}
			for _, secret := range [][]byte{[]byte("ron"), owner[:]} {
				if bytes.Contains(b, secret) {
					t.Errorf("the notice says whose: %q", secret)
				}
			}
			heard = append(heard, n)
			return nil
		}
		l, alice := m.boot(), newPerson(t, "alice")
		first := alice.run(l, "a", time.Minute)
		began := m.Wall()
		if _, err := alice.hold(l, alice.wish("x", m.Wall(), time.Hour, "cpu=1", lease.ID{})); err != nil {
			t.Fatal(err) // falls in 30 s, and nobody hears of it
		}
		m.pass(2 * time.Second)
		second := alice.renew(l, "b", first, time.Hour)
		m.pass(time.Minute)
		if err := alice.end(l, alice.close(second, m.Wall())); err != nil {
			t.Fatal(err)
		}
		m.settle()
		begun, over := 0, 0
		for i, n := range heard {
			if i > 0 && n.Sequence <= heard[i-1].Sequence {
				t.Errorf("sequence %d after %d", n.Sequence, heard[i-1].Sequence)
			}
			if n.RSet[lease.CPU] < 100 {
				t.Errorf("a notice of what was never active: %+v", n)
			}
			if n.Until > n.Made {
				begun++
			} else {
				over++
			}
		}
		if begun != 2 || over != 2 || heard[0].Until != began.Add(time.Minute).Unix() {
			t.Errorf("%d began, %d ended: %+v", begun, over, heard)
		}
	})
}

// A network that hangs holds up nobody's lease.
func TestLeasesDoNotWaitForNotices(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		hang := make(chan struct{})
		m.hear = func([]byte) error { <-hang; return nil }
		l, alice := m.boot(), newPerson(t, "alice")
		for i := range maxNotices + 2 {
			id := alice.run(l, string(rune('a'+i)), time.Hour)
			if err := alice.end(l, alice.close(id, m.Wall())); err != nil {
				t.Fatal(err)
			}
			m.pass(time.Second)
		}
		if n := len(l.d.notices.queue); n != maxNotices {
			t.Errorf("%d notices wait, want %d", n, maxNotices)
		}
		close(hang)
	})
}
