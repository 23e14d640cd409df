// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"testing"
	"time"

	"croft/lease"
	"croft/node/api"
)

func TestASteppedClockBarsGrantsAndMovesNoDeadline(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 6 * time.Second, -6 * time.Second} {
		inBubble(t, func(t *testing.T, m *world) {
			l, alice := m.boot(), newPerson(t, "alice")
			sliver := lease.SliverName(alice.run(l, "a", 10*time.Minute))
			m.settle()
			deadline, now := m.runs[sliver].Deadline, m.Wall()
			held, err := alice.hold(l, alice.wish("r", now, 20*time.Minute, "cpu=100", alice.sees(l)[0].Lease))
			if err != nil {
				t.Fatal(err)
			}
			m.step.Store(int64(step))
			var refusal *api.Refusal
			if _, err := alice.hold(l, alice.wish("b", now, time.Hour, "cpu=100", lease.ID{})); !errors.As(err, &refusal) || refusal.Code != "local:clock" {
				t.Errorf("%s: a wish got %v", step, err)
			}
			if s, err := l.d.Node().Owner.Status(t.Context()); err != nil || s.Barred != "clock" {
				t.Errorf("%s: status says %q, %v", step, s.Barred, err)
			}
			if s := alice.sees(l); len(s) != 1 || s[0].Left != 600 || m.runs[sliver].Deadline != deadline {
				t.Errorf("%s: alice sees %+v", step, s)
			}
			// What is bound already is committed, and ends by the boot clock too.
			if _, err := alice.commit(l, held); err != nil {
				t.Errorf("%s: a commit got %v", step, err)
			}
			m.settle()
			if later := m.runs[sliver].Deadline - deadline; later != int64(10*time.Minute) {
				t.Errorf("%s: renewed by %s", step, time.Duration(later))
			}
			m.step.Store(int64(4 * time.Second)) // NTP has come back, nearly
			if _, err := alice.hold(l, alice.wish("b", now, time.Hour, "cpu=100", lease.ID{})); err != nil {
				t.Errorf("%s: back in time: %v", step, err)
			}
			m.step.Store(int64(step))
			m.pass(20*time.Minute + time.Second)
			m.settle()
			m.idle()
		})
	}
}

// Whoever restarts the daemon accepts the wall clock. Forwards, what passed ends.
func TestARestartAcceptsAStepForwards(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", 10*time.Minute)
		m.settle()
		l.kill()
		m.step.Store(int64(time.Hour))
		l = m.boot()
		m.settle()
		m.idle()
		if _, err := alice.hold(l, alice.wish("b", m.Wall(), time.Hour, "cpu=100", lease.ID{})); err != nil {
			t.Error(err)
		}
	})
}

// Backwards, the ledger's time stands still until the wall has caught up: no
// term is seen to begin twice, nothing is granted meanwhile.
func TestARestartAfterAStepBackStandsStill(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", 2*time.Hour))
		m.settle()
		l.kill()
		m.step.Store(int64(-time.Hour))
		l = m.boot()
		before := l.d.time.now()
		m.pass(30 * time.Minute)
		if now := l.d.time.now(); !now.Equal(before) {
			t.Errorf("the ledger's time went from %s to %s", before, now)
		}
		var refusal *api.Refusal
		if _, err := alice.hold(l, alice.wish("b", before, time.Hour, "cpu=100", lease.ID{})); !errors.As(err, &refusal) || refusal.Code != "local:clock" {
			t.Errorf("a wish got %v", err)
		}
		m.pass(31 * time.Minute)
		if _, err := alice.hold(l, alice.wish("c", m.Wall(), time.Hour, "cpu=100", lease.ID{})); err != nil {
			t.Errorf("the wall has caught up: %v", err)
		}
		m.pass(110 * time.Minute)
		m.settle()
		if len(m.runs) != 1 {
			t.Errorf("%s ended before its term by the clock that the owner accepted", sliver)
		}
	})
}
