// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

func TestALeaseFromWishToExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Hour)
		sliver := lease.SliverName(id)
		m.settle()
		want := []string{"audit tenure", "network add", "guard attach", "network up", "runtime start"}
		for i, call := range m.calls {
			if i >= len(want) || call != want[i]+" "+sliver {
				t.Fatalf("calls %q, want %q in this order", m.calls, want)
			}
		}
		if left := time.Duration(m.runs[sliver].Deadline - m.Boot()); left > time.Hour || left < time.Hour-2*time.Second {
			t.Errorf("the deadline is in %s", left)
		}
		if m.guards[sliver].Deadline != m.runs[sliver].Deadline {
			t.Error("guard and warden end at different times")
		}
		if s := alice.sees(l); len(s) != 1 || s[0].Run != "running" || s[0].Left < 3598 || s[0].Left > 3600 || s[0].Addr == "" {
			t.Errorf("alice sees %+v", s)
		}
		bob := newPerson(t, "bob")
		if s := bob.sees(l); len(s) != 0 {
			t.Errorf("bob sees %+v", s)
		}
		if _, err := l.d.Node().Slivers.Traffic(t.Context(), bob.caller(), sliver); !errors.Is(err, api.ErrNoSliver) {
			t.Errorf("bob reads alice's traffic: %v", err)
		}
		m.pass(time.Hour + time.Second)
		m.settle()
		m.idle()
		if s := alice.sees(l); len(s) != 0 {
			t.Errorf("alice sees %+v after the end", s)
		}
		if len(l.d.status.runs) != 0 {
			t.Errorf("status is kept of %v", l.d.status.runs)
		}
		l.stop()
		if m.closed != 1 || len(m.offers) == 0 {
			t.Errorf("%d offers, %d withdrawn", len(m.offers), m.closed)
		}
	})
}

func TestALaunchThatFailsIsToldAndTornDown(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.fail("runtime start", errors.New("no such interpreter"))
		id := alice.run(l, "a", time.Hour)
		m.settle()
		m.idle()
		s := alice.sees(l)
		if len(s) != 1 || s[0].Run != "failed" || !strings.Contains(s[0].Reason, "no such interpreter") {
			t.Fatalf("alice sees %+v", s)
		}
		if err := alice.end(l, alice.close(id, m.Wall())); err != nil {
			t.Fatal(err)
		}
		m.settle()
		if len(l.d.status.runs) != 0 {
			t.Errorf("the reason is kept beyond the lease: %v", l.d.status.runs)
		}
	})
}

func TestRenewalMovesTheEndOfWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Minute)
		sliver := lease.SliverName(id)
		m.settle()
		m.fail("runtime extend", errors.New("the warden is busy")) // once: it is tried again
		alice.renew(l, "b", id, time.Hour)
		m.settle()
		m.fail("runtime extend", nil)
		m.pass(5 * time.Minute)
		m.settle()
		if m.status[sliver].State != sandbox.Running || m.guards[sliver].Deadline != m.runs[sliver].Deadline {
			t.Errorf("after the first term: %+v, guard until %d", m.runs[sliver], m.guards[sliver].Deadline)
		}
		if n := count(m.calls, "runtime start"); n != 1 {
			t.Errorf("started %d times", n)
		}
		m.pass(time.Hour)
		m.settle()
		m.idle()
	})
}

// Who held a source port when is in the record over a renewal that changes how
// many there are, and over a crash in the middle of that.
func TestRenewalMovesTheTenure(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Hour)
		m.settle()
		m.pass(time.Minute)
		m.fail("guard update", errors.New("no memory"))
		id = alice.renewed(l, "b", id, time.Hour, ",ports.out=4")
		m.settle()
		l.kill()
		m.fail("guard update", nil)
		l = m.boot()
		m.settle()
		alice.renewed(l, "c", id, time.Hour, ",ports.out=4")
		m.settle()
		var held []string
		for _, tn := range l.tenures {
			held = append(held, fmt.Sprintf("%d to %d, over %v", tn.First, tn.Last, tn.Until != 0))
		}
		if want := []string{"20000 to 20255, over true", "20000 to 20003, over false"}; !slices.Equal(held, want) {
			t.Errorf("the tenures are %q, want %q", held, want)
		}
		m.pass(2 * time.Hour)
		m.settle()
		if last := l.tenures[len(l.tenures)-1]; last.Until == 0 {
			t.Errorf("the sliver is gone, and holds %+v", last)
		}
		wide := alice.wish("d", l.Wall(), time.Hour, "cpu=200,memory=64MiB,pids=8,ports.out=2049", lease.ID{})
		if _, err := alice.hold(l, wide); err == nil || !strings.Contains(err.Error(), "ports.out: one lease has at most 2048 here, 2049 are wanted") {
			t.Errorf("2049 source ports: %v", err)
		}
	})
}

// A port is in the record before a packet can leave by it, whatever fails then, and
// whenever the daemon dies.
func TestATenureIsBeforeItsPorts(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		failure := errors.New("no memory")
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.renewed(l, "a", lease.ID{}, time.Hour, ",ports.out=4")
		if err := alice.activate(l, id); err != nil {
			t.Fatal(err)
		}
		m.settle()
		wide := func(what string, from, last int) {
			t.Helper()
			recorded := slices.IndexFunc(m.calls[from:], func(c string) bool { return strings.HasPrefix(c, "audit tenure") })
			opened := slices.IndexFunc(m.calls[from:], func(c string) bool { return strings.HasPrefix(c, "network add") })
			if recorded < 0 || opened < 0 || opened < recorded {
				t.Errorf("%s: %q", what, m.calls[from:])
			}
			if !slices.ContainsFunc(l.tenures, func(o audit.Tenure) bool { return o.Until == 0 && int(o.Last) == last }) {
				t.Errorf("%s: nobody holds %d: %+v", what, last, l.tenures)
			}
		}
		wide("a launch", 0, 20003)

		m.pass(time.Minute)
		m.fail("guard update", failure)
		from := len(m.calls)
		id = alice.renewed(l, "b", id, time.Hour, ",ports.out=8")
		m.settle()
		wide("a renewal whose limits are refused", from, 20007)
		if !slices.ContainsFunc(l.tenures, func(o audit.Tenure) bool { return o.Until == 0 && o.Last == 20003 }) {
			t.Errorf("what it held has ended before all was in force: %+v", l.tenures)
		}

		m.fail("guard update", nil)
		m.pass(time.Minute)
		m.settle()
		m.fail("audit tenure", failure)
		from = len(m.calls)
		alice.renewed(l, "c", id, time.Hour, ",ports.out=16")
		m.settle()
		if count(m.calls[from:], "audit tenure") == 0 || count(m.calls[from:], "network add") > 0 {
			t.Errorf("ports that nobody is on record for are opened: %q", m.calls[from:])
		}
		l.kill()
		m.fail("audit tenure", nil)
		from = len(m.calls)
		l = m.boot()
		m.settle()
		wide("a launch after a crash", from, 20015)
		if on := slices.DeleteFunc(slices.Clone(l.tenures), func(o audit.Tenure) bool { return o.Until != 0 }); len(on) != 1 {
			t.Errorf("in the end it holds %+v", on)
		}
	})
}

func (p *person) renew(l *life, request string, old lease.ID, length time.Duration) lease.ID {
	p.t.Helper()
	return p.renewed(l, request, old, length, "")
}

func (p *person) renewed(l *life, request string, old lease.ID, length time.Duration, more string) lease.ID {
	p.t.Helper()
	hold, err := p.hold(l, p.wish(request, l.Wall(), length, "cpu=200,memory=64MiB,pids=8,egress.rate=2mbit,egress.packets=100"+more, old))
	if err != nil {
		p.t.Fatal(err)
	}
	id, err := p.commit(l, hold)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func count(calls []string, prefix string) (n int) {
	for _, c := range calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func TestAProgramThatEndedIsNotRunAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", time.Hour))
		m.settle()
		l.kill()
		m.end(sliver, sandbox.ReasonExited)
		l = m.boot()
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Run != "stopped" {
			t.Errorf("alice sees %+v", s)
		}
		if n := count(m.calls, "runtime start"); n != 1 {
			t.Errorf("started %d times", n)
		}
		l.kill() // what was lost in another way is started again
		m.mu.Lock()
		m.status[sliver] = sandbox.Status{Sliver: sliver, State: sandbox.Failed, Reason: sandbox.ReasonWardenLost}
		m.mu.Unlock()
		l = m.boot()
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Run != "running" {
			t.Errorf("alice sees %+v", s)
		}
	})
}

func TestAShortProgramIsSeenToEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.starting = make(chan struct{})
		id := alice.run(l, "a", time.Hour)
		sliver := lease.SliverName(id)
		m.settle()
		// The runtime reports the end before the launch has been told of.
		l.d.slivers.seen(sandbox.Status{Sliver: sliver, State: sandbox.Stopped, Reason: sandbox.ReasonExited, Exit: new(int)})
		close(m.starting)
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Run != "stopped" {
			t.Errorf("alice sees %+v", s)
		}
	})
}

func TestClosingGivesUpALaunchUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.starting = make(chan struct{}) // an image that takes for ever
		id := alice.run(l, "a", time.Hour)
		m.settle()
		if err := alice.end(l, alice.close(id, m.Wall())); err != nil {
			t.Fatal(err)
		}
		m.pass(2 * time.Second)
		m.settle()
		m.idle()
	})
}

func TestTeardownIsTriedUntilNothingIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Minute)
		m.fail("network remove", errors.New("device busy"))
		m.pass(2 * time.Minute)
		m.settle()
		if len(m.links) != 1 || len(m.runs) != 0 {
			t.Fatalf("links %v, runs %v", m.links, m.runs)
		}
		m.fail("network remove", nil)
		m.pass(5 * time.Second)
		m.settle()
		m.idle()
		l.stop()
	})
}

// The lifecycle may begin a sliver again while its teardown still runs, when the
// core was built anew: that launch must come after, and must come.
func TestALaunchBehindATeardownIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.fail("runtime start", errors.New("no such interpreter"))
		m.fail("network remove", errors.New("device busy"))
		alice.run(l, "a", time.Hour)
		m.settle() // failed, and its teardown hangs
		m.fail("runtime start", nil)
		m.refuse = func(bool) error { m.refuse = nil; return errors.New("input/output error") }
		if _, err := alice.hold(l, alice.wish("b", m.Wall(), time.Hour, "cpu=100", lease.ID{})); !errors.Is(err, api.ErrAgain) {
			t.Fatalf("got %v", err)
		}
		m.settle()
		m.fail("network remove", nil)
		m.pass(5 * time.Second)
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Run != "running" {
			t.Errorf("alice sees %+v; calls %q", s, m.calls)
		}
	})
}

func TestAVisitorSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		l.d.deps.Hosting = nil // as New is given it on a machine that lacks something
		alice := newPerson(t, "alice")
		if _, err := alice.hold(l, []byte("x")); !errors.Is(err, api.ErrVisitor) {
			t.Errorf("got %v", err)
		}
		if _, err := l.d.Node().Blobs.Blob(t.Context(), alice.caller(), blobOf("x"), 1, false); !errors.Is(err, api.ErrVisitor) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhoAsksAStoppingNodeIsToldSo(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.settle()
		l.stop()
		if _, err := alice.hold(l, alice.wish("a", m.Wall(), time.Hour, "cpu=100", lease.ID{})); !errors.Is(err, api.ErrStopping) {
			t.Errorf("got %v", err)
		}
		if _, err := l.d.Node().Owner.Books(t.Context()); !errors.Is(err, api.ErrStopping) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitingWorkIsBounded(t *testing.T) {
	w := &work{}
	for range 100 {
		w.add(sandbox.Adjust{Sliver: "a"})
		w.add(sandbox.Launch{Sliver: "a"})
		w.add(sandbox.Adjust{Sliver: "a"})
	}
	if len(w.waiting) != 2 {
		t.Errorf("%d things wait: %v", len(w.waiting), w.waiting)
	}
	w.add(sandbox.Teardown{Sliver: "a"})
	w.add(sandbox.Launch{Sliver: "a"})
	if _, first := w.waiting[0].(sandbox.Teardown); len(w.waiting) != 2 || !first {
		t.Errorf("waiting: %v", w.waiting)
	}
	w.add(sandbox.Teardown{Sliver: "a"})
	if len(w.waiting) != 1 {
		t.Errorf("waiting: %v", w.waiting)
	}
}

// A renewal that no sandbox could hold is refused while the old lease stands:
// granted, it would have the sliver end with the lease that it replaces.
func TestARenewalBelowWhatASandboxNeedsIsNone(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		old := alice.run(l, "a", 10*time.Minute)
		m.settle()
		if _, err := alice.hold(l, alice.wish("r", m.Wall(), time.Hour, "cpu=1,memory=64MiB,pids=8", old)); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("a renewal with cpu=1 got %v", err)
		}
		if s := alice.sees(l); len(s) != 1 || s[0].Lease != old || s[0].Run != "running" {
			t.Errorf("alice sees %+v", s)
		}
	})
}
