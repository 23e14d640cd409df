// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"testing"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/journal"
	"croft/sandbox"
)

// story is what a person wants of a node, step by step, each step repeated after
// a crash with the same bytes until it is answered.
type story struct {
	*person
	m     *world
	l     *life
	after bool // a crash comes after the append that it hits is durable
}

// again repeats a step until no crash comes between.
func (s *story) again(step func() error) {
	s.t.Helper()
	for range 3 {
		err := step()
		if err == nil {
			return
		}
		if !s.crashed() {
			s.t.Fatalf("without a crash: %v", err)
		}
	}
	s.t.Fatal("never answered")
}

// crashed starts the next daemon if this one was killed.
func (s *story) crashed() bool {
	s.m.mu.Lock()
	dead := s.l.dead
	s.m.mu.Unlock()
	if dead {
		s.l.stop()
		s.l = s.m.boot()
	}
	return dead
}

// settle lets everything come to rest, over any crash.
func (s *story) settle() {
	for s.m.settle(); s.crashed(); s.m.settle() {
	}
}

// play goes through a whole life: wish, commit, activation, renewal, close.
func (s *story) play() {
	const rset = "cpu=100,memory=64MiB,pids=8,egress.rate=1mbit,egress.packets=100"
	var hold, id, renewed lease.ID
	wish := s.wish("first", s.m.Wall(), time.Minute, rset, lease.ID{})
	s.again(func() (err error) { hold, err = s.hold(s.l, wish); return err })
	s.again(func() (err error) { id, err = s.commit(s.l, hold); return err })
	s.again(func() error { return s.activate(s.l, id) })
	s.settle()
	sliver := lease.SliverName(id)
	if s.m.status[sliver].State != sandbox.Running {
		s.t.Errorf("after activation: %v", s.m.status)
	}
	wish = s.wish("second", s.m.Wall(), time.Hour, rset, id)
	s.again(func() (err error) { hold, err = s.hold(s.l, wish); return err })
	s.again(func() (err error) { renewed, err = s.commit(s.l, hold); return err })
	s.settle()
	s.m.pass(10 * time.Minute)
	s.settle()
	if s.m.status[sliver].State != sandbox.Running || s.m.guards[sliver].Deadline != s.m.runs[sliver].Deadline {
		s.t.Errorf("ten minutes into the renewed lease: %v, guards %v", s.m.status, s.m.guards)
	}
	if got := s.sees(s.l); len(got) != 1 || got[0].Lease != renewed || got[0].Run != "running" {
		s.t.Errorf("seen: %+v", got)
	}
	last := s.close(renewed, s.m.Wall())
	s.again(func() error { return s.end(s.l, last) })
	s.settle()
	s.m.pass(2 * time.Second)
	s.settle()
	s.m.idle()
	free, err := look(s.t.Context(), s.l.d, func(l *lease.Ledger) lease.RSet {
		return l.Free(lease.PoolCommons, lease.Term{From: l.Now(), Until: l.Now() + 60})
	})
	if err != nil || free != s.l.d.inForce().Pools[0].Capacity && free != s.l.d.inForce().Pools[1].Capacity {
		s.t.Errorf("not all is free again: %v, %v", free, err)
	}
}

func TestEveryAnswerSurvivesACrashAtEveryAppend(t *testing.T) {
	for _, after := range []bool{false, true} {
		last := 0
		for n := 1; n <= last || last == 0; n++ {
			inBubble(t, func(t *testing.T, m *world) {
				hit := false
				m.crash = func(i int) (bool, bool) {
					now := i == n && !hit
					hit = hit || now
					return now && !after, now && after
				}
				s := &story{person: newPerson(t, "alice"), m: m, l: m.boot(), after: after}
				s.play()
				if !hit || t.Failed() { // n is past the end
					last = n - 1
				}
				if t.Failed() {
					t.Logf("crash at append %d, durable: %t", n, after)
				}
			})
		}
		if last < 6 {
			t.Errorf("only %d appends in a whole life", last)
		}
	}
}

func TestALeaseThatEndsWhileNobodyWatchesIsTornDown(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		short, long := alice.run(l, "short", time.Minute), alice.run(l, "long", time.Hour)
		m.settle()
		l.kill()
		m.pass(10 * time.Minute)
		m.settle()
		if st := m.status[lease.SliverName(short)]; st.State != sandbox.Stopped {
			t.Errorf("the warden let it run: %v", st)
		}
		l = m.boot()
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Lease != long || s[0].Run != "running" {
			t.Errorf("alice sees %+v", s)
		}
		if len(m.runs) != 1 || len(m.links) != 1 || len(m.guards) != 1 {
			t.Errorf("left: runs %v, links %v, guards %v", m.runs, m.links, m.guards)
		}
		if n := count(m.calls, "runtime start"); n != 3 {
			t.Errorf("%d starts; the long one is taken up, not the short one", n)
		}
	})
}

// A sync that fails leaves unclear what the disk has: the daemon goes back to
// what is there, and nobody who waits is forgotten.
func TestAFailedSyncRebuildsTheCore(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Hour)
		m.settle()
		entered, leave := make(chan struct{}), make(chan struct{})
		m.refuse = func(bool) error { // the first append takes its time, the second fails
			m.refuse = func(bool) error { m.refuse = nil; return journal.ErrPoisoned }
			close(entered)
			m.mu.Unlock()
			<-leave
			m.mu.Lock()
			return nil
		}
		go alice.hold(l, alice.wish("slow", m.Wall(), time.Hour, "cpu=100", lease.ID{}))
		<-entered
		wish := alice.wish("b", m.Wall(), time.Hour, "cpu=100", lease.ID{})
		failed, looked := make(chan error, 1), make(chan int, 1)
		go func() {
			_, err := l.d.Node().Claims.Wish(t.Context(), alice.caller(), [][]byte{wish})
			failed <- err
		}()
		m.settle()
		go func() { looked <- len(newPerson(t, "alice").sees(l)) }() // in one batch with it
		m.settle()
		close(leave)
		if err := <-failed; !errors.Is(err, api.ErrAgain) || !errors.Is(err, journal.ErrPoisoned) {
			t.Errorf("the one whose answer was not written down got %v", err)
		}
		if n := <-looked; n != 1 {
			t.Errorf("%d slivers seen", n)
		}
		if _, err := alice.hold(l, wish); err != nil {
			t.Errorf("asked again: %v", err)
		}
		m.pass(10 * time.Minute) // the offers go on
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Lease != id || s[0].Run != "running" {
			t.Errorf("alice sees %+v", s)
		}
		if last := m.offers[len(m.offers)-1]; time.Since(time.Unix(last.Made, 0)) > 6*time.Minute {
			t.Error("no offer since the journal failed")
		}
	})
}

func TestAJournalThatIsLostForGoodEndsTheDaemon(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		m.settle()
		m.refuse = func(bool) error { l.dead = true; return errors.New("input/output error") }
		if _, err := alice.hold(l, alice.wish("a", m.Wall(), time.Hour, "cpu=100", lease.ID{})); !errors.Is(err, api.ErrAgain) {
			t.Errorf("got %v", err)
		}
		if err := <-l.ended; !errors.Is(err, errDead) {
			t.Errorf("ended with %v", err)
		}
		l.ended = nil
	})
}

func TestAFullDiskRefusesTheNewAndEndsTheOld(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		mine, short := alice.run(l, "a", time.Hour), alice.run(l, "short", 30*time.Second)
		// This one begins while the disk is full: it was granted, so it runs.
		later := m.Wall().Add(40 * time.Second)
		hold, err := alice.hold(l, alice.wish("later", later, time.Hour, "cpu=100", lease.ID{}))
		if err != nil {
			t.Fatal(err)
		}
		future, err := alice.commit(l, hold)
		if err != nil {
			t.Fatal(err)
		}
		if err := alice.activate(l, future); err != nil {
			t.Fatal(err)
		}
		hold, err = alice.hold(l, alice.wish("held", m.Wall(), time.Hour, "cpu=100", lease.ID{}))
		if err != nil {
			t.Fatal(err)
		}
		m.settle()
		m.refuse = func(closing bool) error {
			if closing {
				return nil
			}
			return journal.ErrFull
		}
		wish := alice.wish("b", m.Wall(), time.Hour, "cpu=100", lease.ID{})
		if _, err := alice.hold(l, wish); !errors.Is(err, api.ErrAgain) || !errors.Is(err, journal.ErrFull) {
			t.Errorf("the first wish on a full disk: %v", err)
		}
		var refusal *api.Refusal
		if _, err := alice.hold(l, wish); !errors.As(err, &refusal) || refusal.Code != "local:space" {
			t.Errorf("the next one: %v", err)
		}
		if _, err := alice.commit(l, hold); !errors.As(err, &refusal) || refusal.Code != "local:space" {
			t.Errorf("a commit: %v", err)
		}
		if s, err := l.d.Node().Owner.Status(t.Context()); err != nil || s.Barred != "space" {
			t.Errorf("status says %q, %v", s.Barred, err)
		}
		if err := alice.end(l, alice.close(mine, m.Wall())); err != nil {
			t.Errorf("closing on a full disk: %v", err)
		}
		m.pass(31 * time.Second)
		m.settle()
		if _, there := m.runs[lease.SliverName(short)]; there {
			t.Error("a term did not end on a full disk")
		}
		m.pass(20 * time.Second)
		l.kill()
		l = m.boot() // also a start finds the disk full
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Lease != future || s[0].Run != "running" {
			t.Errorf("alice sees %+v", s)
		}
		m.refuse = nil
		m.pass(fullWait)
		if _, err := alice.hold(l, alice.wish("c", m.Wall(), time.Hour, "cpu=100", lease.ID{})); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}

func TestManyEndsAtOneInstantFitIntoTheJournal(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		m.settle()
		before := m.appends
		records := make([][]byte, 3000)
		for i := range records {
			records[i] = make([]byte, 1000)
		}
		l.d.core = nil // the loop sleeps: nothing else touches the journal
		if err := l.d.append(records, true); err != nil {
			t.Error(err)
		}
		if n := m.appends - before; n != 3 {
			t.Errorf("3 MB in %d frames", n)
		}
		l.kill()
	})
}

func TestALongJournalIsShortenedWhileTheDaemonRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Hour)
		m.settle()
		length := l.d.records
		l.d.records, l.d.shortAt = 5000, 100 // as after a long time
		if _, err := alice.hold(l, alice.wish("b", m.Wall(), time.Hour, "cpu=100", lease.ID{})); err != nil {
			t.Fatal(err)
		}
		m.settle()
		if l.d.records > length+1 || l.d.shortAt != minSnapshot {
			t.Errorf("%d records, looked at again at %d", l.d.records, l.d.shortAt)
		}
		l.kill()
		l = m.boot()
		m.settle()
		if s := alice.sees(l); len(s) != 1 || s[0].Lease != id {
			t.Errorf("alice sees %+v", s)
		}
	})
}
