// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// me is who runs the tests.
func me() Users { return Users{uint32(os.Getuid()), 1} }

// Who has as many connections as it may is refused no faster than it may dial.
func TestRefusedDialsArePaced(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		for range maxConns {
			s.dial()
		}
		began := time.Now()
		const dials = dialBurst - maxConns + 2*dialRate
		for range dials {
			if s.dial().hear() != "" {
				t.Fatal("one more is let in")
			}
		}
		if took := time.Since(began); took < 1900*time.Millisecond || took > 3*time.Second { // in virtual time
			t.Errorf("%d dials took %s", dials, took)
		}
	})
}

// A machine that is short of descriptors for a moment leaves nobody without a door.
func TestADoorOutlivesAFailedAccept(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		for range 3 {
			s.fails <- syscall.EMFILE
		}
		if v, _ := s.serve(); v == nil || s.house.Counts()["could not be accepted"] != 3 {
			t.Errorf("%v", s.house.Counts())
		}
	})
}

// All slivers together have no more connections than the node can bear.
func TestConnectionsOfAllDoorsAreBounded(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		s.house.open = maxOpen
		if s.dial().hear() != "" || s.house.Counts()["more connections than the node takes"] != 1 {
			t.Errorf("%v", s.house.Counts())
		}
		s.house.open = maxOpen - 1
		v, _ := s.serve()
		v.Close()
		synctest.Wait()
		if s.house.open != maxOpen-1 {
			t.Errorf("%d are open", s.house.open)
		}
	})
}

// Who dials a sliver's socket and is none of its users is not the sliver.
func TestOthersAreNotTheSliver(t *testing.T) {
	uid := uint32(os.Getuid())
	for of, want := range map[Users]error{
		{uid, 1}: nil, {uid - 1, 2}: nil, {uid - 1, 1}: errStranger, {uid + 1, 1 << 16}: errStranger, {uid, 0}: errStranger,
	} {
		top, err := os.MkdirTemp("", "doors")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(top) })
		l, at, err := Dir(filepath.Join(top, "n", "d")).Open("abcd", of)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		dialled, err := net.Dial("unix", filepath.Join(at, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dialled.Close() })
		c, err := l.Accept()
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%v: %v", of, err)
		}
		if c != nil {
			c.Close()
		}
	}
	inStreet(t, func(t *testing.T, s *street) {
		for range 2 * dialBurst {
			s.fails <- errStranger
		}
		began := time.Now()
		if s.serve(); time.Since(began) > 0 || s.house.Counts()["not of the sliver"] != 2*dialBurst {
			t.Errorf("the sliver waits %s; %v", time.Since(began), s.house.Counts())
		}
	})
}

// What waits for the lease does so no longer than its connection lasts.
func TestNobodyPaysForAConnectionThatIsGone(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		v, tenant := s.serve()
		s.mu.Lock()
		s.broke = true
		s.mu.Unlock()
		got := s.call(tenant, time.Hour, `{}`)
		synctest.Wait()
		v.Close()
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.left != 1 || s.house.open != 0 {
			t.Errorf("left %d times, %d connections are open", s.left, s.house.open)
		}
		if o := <-got; !errors.Is(o.err, ErrGone) {
			t.Errorf("%+v", o)
		}
	})
}

// However often a sliver does the same wrong, the log has it once a minute.
func TestTheLogIsSparing(t *testing.T) {
	inStreet(t, func(t *testing.T, s *street) {
		var log bytes.Buffer
		s.house.Log = slog.New(slog.NewTextHandler(&log, nil))
		wrong := func() {
			for range 5 {
				v := s.dial()
				v.say("{what}")
				for v.hear() != "" {
				}
				u := s.dial()
				u.say(`{"serve":"emperor/1"}`)
				for u.hear() != "" {
				}
			}
			synctest.Wait()
		}
		wrong()
		if n := strings.Count(log.String(), "\n"); n > 2 || n == 0 {
			t.Errorf("%d lines: %s", n, &log)
		}
		<-time.After(tellEvery) // in virtual time
		before := log.Len()
		wrong()
		if log.Len() == before {
			t.Error("told but once")
		}
	})
}
