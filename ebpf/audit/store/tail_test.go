// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"path/filepath"
	"testing"

	"croft/ebpf/audit"
)

// TestTailSeesEveryEpochOnce: while segments are filled and closed, whoever follows
// gets each epoch whole and once, also of a segment that was closed after the last
// look.
func TestTailSeesEveryEpochOnce(t *testing.T) {
	dir := t.TempDir()
	tail := NewTail(dir)
	defer tail.Close()
	next := func(want ...uint64) {
		t.Helper()
		epochs, alarms, err := tail.Next()
		must(t, err)
		if len(alarms) > 0 || len(epochs) != len(want) {
			t.Fatalf("%d epochs, want %v; alarms %v", len(epochs), want, alarms)
		}
		for i, e := range epochs {
			whole := audit.EpochOf(epoch(want[i], 3))
			if e.EpochLeaf.String() != whole.String() || e.Newest.UnixNano() != whole.At-second/2 || e.Bytes < 3*13 {
				t.Fatalf("got %+v, want %s", e, whole)
			}
		}
		if n := len(epochs); n > 0 && epochs[n-1].Kept.IsZero() {
			t.Fatal("the newest epoch was durable at no time")
		}
	}
	next()
	s := open(t, dir, Options{})
	next()
	for n := uint64(1); n <= 40; n++ {
		must(t, s.Append(epoch(n, 3)))
		switch {
		case n == 2:
			next(1, 2)
		case n%10 == 0:
			turn(t, s, int64(n)*10+400) // closes what is there, whose file goes
			must(t, s.Append(epoch(n+1, 3)))
			from, want := max(n-9, 3), []uint64{}
			if n > 10 {
				from++
			}
			for k := from; k <= n+1; k++ {
				want = append(want, k)
			}
			next(want...)
		}
	}
	next()
}

// TestTailReadsWhatWaits: segments are full faster than they are closed.
func TestTailReadsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Budget: 6 * minSegments * openRow}) // six rows fill a segment
	tail := NewTail(dir)
	defer tail.Close()
	read := uint64(0)
	for n := uint64(1); n <= 20; n++ {
		must(t, s.Append(epoch(n, 3)))
		if n != 1 && n%10 > 0 {
			continue
		}
		epochs, alarms, err := tail.Next()
		must(t, err)
		if uint64(len(epochs)) != n-read || len(alarms) > 0 {
			t.Fatalf("after epoch %d: %d epochs, want %d; alarms %v", n, len(epochs), n-read, alarms)
		}
		read = n
	}
	if waiting, err := filepath.Glob(filepath.Join(dir, "*"+suffixOpen)); err != nil || len(waiting) < 5 {
		t.Fatalf("segments that wait: %v", waiting)
	}
}

// TestTailFindsFaults: an account that does not balance, epochs that are missing,
// and a frame that is not whole yet.
func TestTailFindsFaults(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.Append(epoch(1, 1)))
	bad := epoch(3, 1)
	bad.Identity.Seen++
	must(t, s.Append(bad))
	tail := NewTail(dir)
	defer tail.Close()
	epochs, alarms, err := tail.Next()
	must(t, err)
	if len(epochs) != 2 || len(alarms) != 2 || alarms[0].Kind != audit.AlarmIdentity || alarms[1].Kind != audit.AlarmGap {
		t.Fatalf("%d epochs, alarms %v", len(epochs), alarms)
	}

	path := openPath(dir, 0)
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, s.Append(epoch(4, 1)))
	must(t, s.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	for cut := len(before); cut < len(after); cut++ {
		must(t, os.WriteFile(path, after[:cut], 0o600))
		if epochs, _, err := tail.Next(); err != nil || len(epochs) != 0 {
			t.Fatalf("cut at %d of %d: %d epochs, %v", cut, len(after), len(epochs), err)
		}
	}
	must(t, os.WriteFile(path, after, 0o600))
	if epochs, alarms, err := tail.Next(); err != nil || len(epochs) != 1 || len(alarms) != 0 {
		t.Fatalf("whole: %d epochs, %v, %v", len(epochs), alarms, err)
	}
}
