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
			held, err := alice.hold(l, alice.wish("r", now, 20*time.Minute, "cpu=100,memory=64MiB,pids=8", alice.sees(l)[0].Lease))
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

// Accepted forwards, what has passed by the new time ends, and the deadline of
// what has not moves with it, in the warden too.
func TestAcceptingAStepForwards(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		short := lease.SliverName(alice.run(l, "a", 10*time.Minute))
		long := lease.SliverName(alice.run(l, "b", 2*time.Hour))
		m.settle()
		deadline := m.runs[long].Deadline
		m.step.Store(int64(time.Hour))
		if c, err := l.d.Node().Clocks.Clock(t.Context()); err != nil || c.Step != 3600 || !c.Barred {
			t.Fatalf("before: %+v, %v", c, err)
		}
		if c, err := l.d.Node().Clocks.AcceptClock(t.Context()); err != nil || c.Step != 0 || c.Barred {
			t.Fatalf("after: %+v, %v", c, err)
		}
		m.settle()
		if _, runs := m.runs[short]; runs {
			t.Errorf("a lease that has passed goes on")
		}
		if moved := m.runs[long].Deadline - deadline; moved != -int64(time.Hour) {
			t.Errorf("the deadline moved by %s", time.Duration(moved))
		}
		if _, err := alice.hold(l, alice.wish("c", m.Wall(), time.Hour, "cpu=100", lease.ID{})); err != nil {
			t.Error(err)
		}
		m.pass(time.Hour + time.Second)
		m.settle()
		m.idle()
	})
}

// Accepted backwards, the ledger's time stands still until the wall has caught
// up, and goes on from there.
func TestAcceptingAStepBack(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", 2*time.Hour))
		m.settle()
		deadline, before := m.runs[sliver].Deadline, l.d.time.now()
		m.step.Store(int64(-time.Hour))
		if _, err := l.d.Node().Clocks.AcceptClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.settle()
		if moved := m.runs[sliver].Deadline - deadline; moved != int64(time.Hour) {
			t.Errorf("the deadline moved by %s", time.Duration(moved))
		}
		m.pass(30 * time.Minute)
		if now := l.d.time.now(); !now.Equal(before) {
			t.Errorf("the ledger's time went from %s to %s", before, now)
		}
		m.pass(2*time.Hour + 29*time.Minute)
		m.settle()
		if len(m.runs) != 1 {
			t.Error("ended before its term by the clock that the owner accepted")
		}
		m.pass(2 * time.Minute)
		m.settle()
		m.idle()
	})
}
