// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// fillUp appends until the disk is full.
func fillUp(t *testing.T, j *Journal) (acked []Record) {
	t.Helper()
	for i := range 100_000 {
		r := append(rec("fact %d ", i), make([]byte, 500)...)
		if err := j.Append(r); err != nil {
			wantErr(t, err, ErrFull)
			return acked
		}
		acked = append(acked, r)
	}
	t.Fatal("the disk never filled up")
	return nil
}

// endAll has every lease of a full disk ended.
func endAll(t *testing.T, j *Journal, n int) (acked []Record) {
	t.Helper()
	for i := range n {
		r := append(rec("close %d ", i), make([]byte, 600)...)
		if err := j.AppendClosing(r); err != nil {
			t.Fatalf("close %d of %d on a full disk: %v", i, n, err)
		}
		acked = append(acked, r)
		if err := j.Append(rec("new")); !errors.Is(err, ErrFull) {
			t.Fatalf("a new fact took the room of closing ones: %v", err)
		}
	}
	return acked
}

func TestFullDisk(t *testing.T) {
	d := newMemDisk()
	d.room = 400 << 10
	opt := Options{Disk: d, Ballast: 128 << 10}
	j, _ := open(t, "", opt)
	want := append(fillUp(t, j), endAll(t, j, 100)...)

	// A snapshot needs room beside the old file.
	wantErr(t, j.Snapshot(want), ErrFull)
	if _, ok := d.names[tmpName]; ok {
		t.Fatal("a failed snapshot left its file")
	}
	// Even reopening on a full disk works, with the rule in force.
	must(t, j.Close())
	j, rs := open(t, "", opt)
	if !equal(rs, want) {
		t.Fatalf("%d records, want %d", len(rs), len(want))
	}
	wantErr(t, j.Append(rec("new")), ErrFull)
	must(t, j.AppendClosing(rec("end")))

	must(t, j.Snapshot([]Record{rec("all ended")}))
	must(t, j.Append(rec("room again")))
	if got := len(d.names[ballastName].data); got != 128<<10 {
		t.Fatalf("ballast of %d bytes after there is room", got)
	}
	_, rs, err := Open("", Options{Disk: d.crash(true)})
	if must(t, err); !equal(rs, []Record{rec("all ended"), rec("room again")}) {
		t.Fatalf("got %q", rs)
	}
}

func TestBallastSpent(t *testing.T) {
	d := newMemDisk()
	d.room = 256 << 10
	j, _ := open(t, "", Options{Disk: d, Ballast: ballastStep})
	fillUp(t, j)
	for i := 0; ; i++ {
		if err := j.AppendClosing(make(Record, 1000)); err != nil {
			wantErr(t, err, ErrFull)
			if i < 60 {
				t.Fatalf("%d closes in %d bytes", i, ballastStep)
			}
			return
		}
	}
}

func TestRootFullFileSystem(t *testing.T) {
	needRoot(t)
	path := t.TempDir()
	if err := unix.Mount("croft-journal-test", path, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		notHere(t, fmt.Sprintf("mounting a tmpfs: %v", err))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	opt := Options{Ballast: 256 << 10}
	j, _ := open(t, filepath.Join(path, "journal"), opt)
	want := append(fillUp(t, j), endAll(t, j, 200)...)
	must(t, j.Close())
	j, rs := open(t, filepath.Join(path, "journal"), opt)
	if !equal(rs, want) {
		t.Fatalf("%d records, want %d", len(rs), len(want))
	}
	must(t, j.Snapshot([]Record{rec("all ended")}))
	must(t, j.Append(rec("room again")))
	must(t, j.Close())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		notHere(t, "needs root")
	}
}

// notHere skips, or fails where nothing may be skipped.
func notHere(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
