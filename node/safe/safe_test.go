// SPDX-License-Identifier: Apache-2.0

package safe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
	"croft/node/journal"
	"croft/node/safe"
)

var (
	alice = leasetest.Key("alice")
	now   = time.Unix(leasetest.Epoch, 0)
)

const hour = 3600

func open(t testing.TB, dir string) *safe.Safe {
	t.Helper()
	s, err := safe.Open(t.Context(), dir, alice)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func shut(t testing.TB, s *safe.Safe) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// filled makes a purse with a ticket of cpu=1000 and one redeem in slot 0.
func filled(t testing.TB) (dir string, ticket lease.ID) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "home", "purse")
	d := leasetest.Draw(t, "cap(n1 cpu=1000 0h..9000h) -> t0(alice)").Last()
	s := open(t, dir)
	if _, err := s.Do(now, purse.Keep{Chain: d.Chain()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(now, wish(d.ID, 0, 10)); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	return dir, d.ID
}

func wish(ticket lease.ID, n int, cpu uint64) purse.Redeem {
	return purse.Redeem{Ticket: ticket, Slot: purse.AnySlot, RSet: lease.RSet{lease.CPU: cpu}, Slice: "web",
		Term: lease.Term{From: leasetest.Epoch, Until: leasetest.Epoch + hour}, Request: lease.Request{byte(n), byte(n >> 8)}}
}

func TestWhatWasSignedIsThereAgain(t *testing.T) {
	dir, ticket := filled(t)
	s := open(t, dir)
	if s.Restored() || len(s.Held()) != 1 || len(s.Held()[0].Issued) != 1 {
		t.Fatalf("restored %v, holds %v", s.Restored(), s.Held())
	}
	first, err := s.Do(now, wish(ticket, 0, 10))
	if err != nil || !bytes.Equal(first[2], s.Held()[0].Issued[0].Bytes) {
		t.Errorf("the same request: got other bytes, %v", err)
	}
	if _, err := s.Do(now, wish(ticket, 1, 991)); !errors.Is(err, purse.ErrSpent) {
		t.Errorf("a refusal: got %v", err)
	}
	if _, err := s.Do(now, wish(ticket, 1, 990)); err != nil {
		t.Errorf("after a refusal: got %v", err)
	}
	shut(t, s)
	held, restored, err := safe.Look(t.Context(), dir, alice)
	if err != nil || restored || len(held) != 1 || len(held[0].Issued) != 2 {
		t.Errorf("looked and saw %v, %v, %v", held, restored, err)
	}
	if held, _, err := safe.Look(t.Context(), filepath.Join(dir, "none"), alice); err != nil || len(held) != 0 {
		t.Errorf("looked at nothing and saw %v, %v", held, err)
	}
}

// Several wishes are signed together, or none of them.
func TestAllOrNone(t *testing.T) {
	dir, ticket := filled(t)
	s := open(t, dir)
	ins := []purse.Input{wish(ticket, 1, 400), wish(ticket, 2, 400), wish(ticket, 3, 400)}
	if got, err := s.DoAll(now, ins); !errors.Is(err, purse.ErrSpent) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.Do(now, wish(ticket, 4, 1)); err == nil {
		t.Error("signs on, with a book that is ahead of the disk")
	}
	shut(t, s)
	s = open(t, dir)
	if n := len(s.Held()[0].Issued); n != 1 || s.Restored() {
		t.Errorf("%d redeems, restored %v", n, s.Restored())
	}
	if got, err := s.DoAll(now, ins[:2]); err != nil || len(got) != 2 {
		t.Errorf("got %d, %v", len(got), err)
	}
	shut(t, s)
	if held, _, err := safe.Look(t.Context(), dir, alice); err != nil || len(held[0].Issued) != 3 {
		t.Errorf("%v, %v", held, err)
	}
}

// Many at once wait for one another, and none signs over another.
func TestOneAtATime(t *testing.T) {
	dir, ticket := filled(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	slots := map[uint8]bool{}
	for i := range 12 {
		group.Go(func() {
			s, err := safe.Open(t.Context(), dir, alice)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			chain, err := s.Do(now, wish(ticket, i+1, 10))
			if err != nil || s.Restored() {
				t.Error(err, s.Restored())
				return
			}
			o, err := lease.Open(chain[2])
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			slots[o.Statement.(*lease.Redeem).Slot] = true
		})
	}
	if group.Wait(); len(slots) != 12 || slots[0] {
		t.Errorf("12 redeems in %d slots", len(slots))
	}
	s := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := safe.Open(ctx, dir, alice); !errors.Is(err, context.Canceled) {
		t.Errorf("did not wait: %v", err)
	}
	shut(t, s)
	s, err := safe.Open(ctx, dir, alice) // there is nothing to wait for
	if err != nil {
		t.Fatal(err)
	}
	shut(t, s)
}

// A journal that grows is written anew, and is the same purse after.
func TestJournalIsShortened(t *testing.T) {
	dir, ticket := filled(t)
	path := filepath.Join(dir, alice.Principal().String(), journal.FileName)
	s := open(t, dir)
	late := now
	for i := range 200 { // each wish ends, is forgotten, and leaves two records
		w := wish(ticket, 1, 10)
		w.Term.From, w.Term.Until = w.Term.From+int64(i)*2*hour, w.Term.Until+int64(i)*2*hour
		if _, err := s.Do(late, w); err != nil {
			t.Fatal(err)
		}
		late = time.Unix(w.Term.Until+purse.Slack, 0)
		if _, err := s.Do(late, purse.Tick{}); err != nil {
			t.Fatal(err)
		}
	}
	long := size(t, path)
	shut(t, s)
	if short := size(t, path); short > long/10 {
		t.Errorf("%d bytes of %d are left", short, long)
	}
	if s := open(t, dir); s.Restored() || len(s.Held()) != 1 {
		t.Errorf("restored %v, holds %v", s.Restored(), s.Held())
	}
}

func size(t *testing.T, path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// However a copy is put back, the purse is told; and what was only left by a
// crash, or only looked at, is no copy.
func TestCopiesAreNoticed(t *testing.T) {
	shell := func(script string) func(t *testing.T, dir, back string) {
		return func(t *testing.T, dir, back string) {
			c := exec.Command("sh", "-euc", script)
			c.Dir = filepath.Dir(dir)
			c.Env = append(os.Environ(), "back="+back, "who="+alice.Principal().String())
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, dir, back string)
		want bool
	}{
		"nothing":                  {shell(":"), false},
		"read and listed":          {shell("cat purse/*/journal >/dev/null; ls -lR; touch purse/other"), false},
		"directory moved":          {shell("mv purse p2; mv p2 purse"), false},
		"replaced by the copy":     {shell("rm -r purse; cp -a $back purse"), true},
		"copied over":              {shell("cp -a $back/. purse/"), true},
		"copied over, bytes only":  {shell("for f in $who/journal $who.witness; do cat $back/$f > purse/$f; done"), true},
		"tar":                      {shell("tar -C $back -cf - . | tar -C purse -xf -"), true},
		"journal alone":            {shell("cp -a $back/$who/journal purse/$who/journal"), true},
		"journal deleted":          {shell("rm purse/$who/journal"), true},
		"its directory deleted":    {shell("rm -r purse/$who"), true},
		"witness deleted":          {shell("rm purse/$who.witness"), true},
		"witness is garbage":       {shell("echo x > purse/$who.witness"), true},
		"witness alone":            {shell("cp -a $back/$who.witness purse/"), true},
		"the same bytes once more": {shell("cp -a purse p2; rm -r purse; mv p2 purse"), true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, ticket := filled(t)
			back := filepath.Join(t.TempDir(), "back")
			shell("cp -a purse $back")(t, dir, back)
			s := open(t, dir)
			if _, err := s.Do(now, wish(ticket, 1, 500)); err != nil {
				t.Fatal(err)
			}
			shut(t, s)
			c.do(t, dir, back)
			if _, restored, err := safe.Look(t.Context(), dir, alice); err != nil || restored != c.want {
				t.Errorf("looked: %v, %v", restored, err)
			}
			for range 2 { // noticed once, it stays so
				s = open(t, dir)
				if s.Restored() != c.want {
					t.Fatalf("restored: %v", s.Restored())
				}
				shut(t, s)
			}
			if s = open(t, dir); !c.want || len(s.Held()) == 0 {
				return
			}
			w := wish(ticket, 2, 10)
			w.Slot = 5
			if _, err := s.Do(now, w); !errors.Is(err, purse.ErrRestored) {
				t.Errorf("a new wish: got %v", err)
			}
			w.Slot = 0
			if _, err := s.Do(now, w); err != nil {
				t.Errorf("within what it can show: got %v", err)
			}
			if _, err := s.Do(now, purse.Moved{}); err != nil || s.Restored() {
				t.Errorf("its owner's word: %v", err)
			}
			shut(t, s)
			if s = open(t, dir); s.Restored() {
				t.Error("its owner's word is forgotten")
			}
		})
	}
}

const childDir = "CROFT_SAFE_CHILD"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child opens, signs, says what it signed, and shuts, until it is killed.
func child(dir string) {
	for n := 1; ; n++ {
		s, err := safe.Open(context.Background(), dir, alice)
		if err == nil && s.Restored() {
			err = errors.New("takes a crash for a copy")
		}
		for i := 0; err == nil && i < 3; i++ {
			w := wish(s.Held()[0].ID, n*3+i, 10)
			w.Slot = 0
			w.Request[2] = byte(os.Getpid())
			w.Request[3] = byte(os.Getpid() >> 8)
			var chain [][]byte
			if chain, err = s.Do(now, w); err == nil {
				o, _ := lease.Open(chain[2])
				fmt.Println(o.ID)
			}
		}
		if err == nil {
			err = s.Close()
		}
		if errors.Is(err, purse.ErrFull) {
			select {} // there is no more to do than to be killed
		}
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
}

// Killed at any moment, the purse has all that anybody saw, and is no copy.
func TestKilled(t *testing.T) {
	dir, _ := filled(t)
	var seen []string
	for round := range 12 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childDir+"="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 4096)
		go func() {
			defer close(lines)
			for {
				var line string
				if _, err := fmt.Fscanln(out, &line); err != nil {
					return
				}
				lines <- line
			}
		}()
		for range 2 + round {
			line := <-lines
			if _, err := lease.ParseID(line); err != nil {
				t.Fatalf("%q", line)
			}
			seen = append(seen, line)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for line := range lines { // said before it died
			seen = append(seen, line)
		}
		c.Wait() // its error is the signal
		if round%2 == 0 {
			tear(t, dir)
		}
		s := open(t, dir)
		if s.Restored() {
			t.Fatal("takes a crash for a copy")
		}
		var book []string
		for _, i := range s.Held()[0].Issued {
			book = append(book, i.ID.String())
		}
		for _, id := range seen {
			if _, err := lease.ParseID(id); err == nil && !slices.Contains(book, id) {
				t.Fatalf("%s was seen and is not in the book", id)
			}
		}
		shut(t, s)
	}
}

// tear leaves behind the journal what a write that the power cut short leaves,
// if the purse was open.
func tear(t *testing.T, dir string) {
	path := filepath.Join(dir, alice.Principal().String())
	witness, err := os.ReadFile(path + ".witness")
	if err != nil || !bytes.Contains(witness, []byte(`"open"`)) {
		return
	}
	f, err := os.OpenFile(filepath.Join(path, journal.FileName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte{200, 0, 0, 0, 1, 2, 3})
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A full disk refuses before anything is signed that cannot be kept, and is no
// damage: with room again the purse goes on.
func TestRootFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, but this is not root")
		}
		t.Skip("mounts a small file system")
	}
	from, ticket := filled(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(disk, "purse")
	if out, err := exec.Command("cp", "-a", from, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := open(t, dir)
	if _, err := s.Do(now, purse.Moved{}); err != nil { // the copy was meant
		t.Fatal(err)
	}
	fill := func() {
		f, err := os.Create(filepath.Join(disk, "fill"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for block := make([]byte, 4096); ; {
			if _, err := f.Write(block); err != nil {
				return
			}
		}
	}
	fill()
	var err error
	n := 1
	for ; err == nil && n < 1000; n++ { // what is left of the last block
		w := wish(ticket, n, 10)
		w.Slot = 0
		_, err = s.Do(now, w)
	}
	if !errors.Is(err, journal.ErrFull) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Do(now, wish(ticket, 9999, 1)); !errors.Is(err, journal.ErrFull) {
		t.Errorf("signs on: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("shutting: %v", err)
	}
	if _, err := safe.Open(t.Context(), dir, alice); !errors.Is(err, journal.ErrFull) {
		t.Errorf("opened on a full disk: %v", err)
	}
	if held, restored, err := safe.Look(t.Context(), dir, alice); err != nil || restored || len(held[0].Issued) != n-1 {
		t.Errorf("looked: %d of %d, %v, %v", len(held[0].Issued), n-1, restored, err)
	}
	if err := os.Remove(filepath.Join(disk, "fill")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if _, err := s.Do(now, wish(ticket, 9999, 1)); err != nil || s.Restored() {
		t.Errorf("with room again: %v, restored %v", err, s.Restored())
	}
	shut(t, s)
}
