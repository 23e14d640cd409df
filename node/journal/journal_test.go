// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

func open(t *testing.T, path string, opt Options) (*Journal, []Record) {
	t.Helper()
	j, rs, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, rs
}

func rec(format string, args ...any) Record { return Record(fmt.Sprintf(format, args...)) }

func equal(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(x, y Record) bool { return bytes.Equal(x, y) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestAppendSnapshotReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "journal")
	j, rs := open(t, path, Options{})
	if len(rs) != 0 || j.Generation() != 1 {
		t.Fatalf("new journal: %d records, generation %d", len(rs), j.Generation())
	}
	must(t, j.Append(rec("a"), rec(""), rec("b")))
	must(t, j.Append())
	must(t, j.AppendClosing(rec("c")))
	must(t, j.Close())
	must(t, j.Close())
	wantErr(t, j.Append(rec("late")), ErrClosed)

	j, rs = open(t, path, Options{MustExist: true})
	if want := []Record{rec("a"), rec(""), rec("b"), rec("c")}; !equal(rs, want) {
		t.Fatalf("got %q, want %q", rs, want)
	}
	must(t, j.Snapshot([]Record{rec("abc")}))
	must(t, j.Append(rec("d")))
	if j.Generation() != 2 {
		t.Fatalf("generation %d after a snapshot", j.Generation())
	}
	must(t, j.Close())
	j, rs = open(t, path, Options{})
	if want := []Record{rec("abc"), rec("d")}; !equal(rs, want) || j.Generation() != 2 {
		t.Fatalf("got %q in generation %d, want %q in 2", rs, j.Generation(), want)
	}
}

func TestLockedOut(t *testing.T) {
	path := t.TempDir()
	j, _ := open(t, path, Options{})
	_, _, err := Open(path, Options{})
	wantErr(t, err, ErrLocked)
	must(t, j.Close())
	open(t, path, Options{})
}

// A child that a process leaves between fork and exec when it is killed has its
// lock for a moment more; a holder that stays is in the way.
func TestWhoHasTheLockForAMomentIsWaitedFor(t *testing.T) {
	d := dir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		unlock, err := d.Lock(lockName)
		must(t, err)
		begun := time.Now()
		_, err = d.Lock(lockName)
		wantErr(t, err, ErrLocked)
		if waited := time.Since(begun); waited != patience { // by the bubble's clock
			t.Errorf("gave up after %s", waited)
		}
		time.AfterFunc(patience/2, unlock)
		again, err := d.Lock(lockName)
		must(t, err)
		again()
	})
}

// The lock is the open file's: a child that has that has the lock, though the
// process that took it is gone.
func TestAChildKeepsTheLock(t *testing.T) {
	d := dir(t.TempDir())
	f, err := os.OpenFile(d.path(lockName), os.O_RDONLY|os.O_CREATE, 0o600)
	must(t, err)
	defer f.Close()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	child := exec.Command("cat")
	child.ExtraFiles = []*os.File{f}
	in, err := child.StdinPipe()
	must(t, err)
	must(t, child.Start())
	must(t, f.Close()) // as the kernel does for the dead
	ours, err := flock.New(d.path(lockName)).TryLock()
	if must(t, err); ours {
		t.Error("the child does not have it")
	}
	got := make(chan error, 1)
	go func() {
		unlock, err := d.Lock(lockName)
		if err == nil {
			unlock()
		}
		got <- err
	}()
	must(t, in.Close())
	must(t, child.Wait())
	must(t, <-got)
}

func TestMissing(t *testing.T) {
	path := t.TempDir()
	_, _, err := Open(path, Options{MustExist: true})
	wantErr(t, err, ErrMissing)
	if _, err := os.Stat(filepath.Join(path, FileName)); err == nil {
		t.Fatal("a journal was made")
	}
}

func TestTooBig(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	wantErr(t, j.Append(make(Record, MaxRecord+1)), ErrTooBig)
	wantErr(t, j.Snapshot([]Record{make(Record, MaxRecord+1)}), ErrTooBig)
	big := make(Record, MaxRecord)
	wantErr(t, j.Append(big, big, big, big), ErrTooBig)
	must(t, j.Append(big, big, big))
}

func TestLargeSnapshot(t *testing.T) {
	path := t.TempDir()
	j, _ := open(t, path, Options{})
	var want []Record
	for i := range 10 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, MaxRecord))
	}
	must(t, j.Snapshot(want))
	must(t, j.Append(rec("after")))
	must(t, j.Close())
	if _, rs := open(t, path, Options{}); !equal(rs, append(want, rec("after"))) {
		t.Fatalf("%d records came back wrong", len(rs))
	}
}

// Each caller's records keep their order, whoever wrote them.
func TestConcurrentAppends(t *testing.T) {
	const callers, each = 8, 25
	path := t.TempDir()
	j, _ := open(t, path, Options{})
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				write := j.Append
				if i%5 == 0 {
					write = j.AppendClosing
				}
				if err := write(rec("%d/%d", c, i), rec("%d/%d'", c, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, j.Close())
	_, rs := open(t, path, Options{})
	if len(rs) != 2*callers*each {
		t.Fatalf("%d records, want %d", len(rs), 2*callers*each)
	}
	next := [callers]int{}
	for k := 0; k < len(rs); k += 2 {
		var c, i int
		fmt.Sscanf(string(rs[k]), "%d/%d", &c, &i)
		if i != next[c] || string(rs[k+1]) != fmt.Sprintf("%d/%d'", c, i) {
			t.Fatalf("records %d, %d are %q, %q; want caller %d at %d", k, k+1, rs[k], rs[k+1], c, next[c])
		}
		next[c]++
	}
}

// Callers that wait for the same disk share its next fsync.
func TestGroupCommit(t *testing.T) {
	d := newMemDisk()
	j, _ := open(t, "", Options{Disk: d})
	const callers = 16
	inside, release := make(chan struct{}), make(chan struct{})
	syncs := 0
	d.fault = func(_ int, what string) error {
		if what == "sync journal" {
			if syncs++; syncs == 1 {
				close(inside)
				<-release
			}
		}
		return nil
	}
	errs := make(chan error, callers+1)
	go func() { errs <- j.Append(rec("first")) }()
	<-inside
	batches := map[*batch]bool{}
	for i := range callers {
		// What append does before it waits for the disk.
		batches[j.join([]Record{rec("%d", i)}, 8, false)] = true
	}
	close(release)
	must(t, <-errs)
	if len(batches) != 1 {
		t.Fatalf("%d callers wait in %d batches", callers, len(batches))
	}
	must(t, j.Append(rec("last")))
	if syncs != 2 {
		t.Fatalf("%d fsyncs for %d callers and two", syncs, callers)
	}
	_, rs, err := Open("", Options{Disk: d.crash(true)})
	if must(t, err); len(rs) != callers+2 {
		t.Fatalf("%d records, want %d", len(rs), callers+2)
	}
}
