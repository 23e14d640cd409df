// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/node/release"
	"croft/node/release/shelf"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// program is a build that tells its version.
func program(minor int) (release.Kept, []byte) {
	b := fmt.Appendf(nil, "#!/bin/sh\necho croft 0.%d.0\n", minor)
	return release.Kept{Version: release.Version{0, uint32(minor), 0}, Digest: lease.Digest(sha256.Sum256(b)), Size: int64(len(b))}, b
}

func open(t *testing.T, dir string) *shelf.Shelf {
	t.Helper()
	s, err := shelf.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *shelf.Shelf, minor int) release.Kept {
	t.Helper()
	k, b := program(minor)
	if err := s.Add(t.Context(), k, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return k
}

// Wherever a change-over is cut off, what is started next is whole and one of the two: what
// ran before until the trial is confirmed on disk, the release from then on.
func TestCutOffAtAnyStep(t *testing.T) {
	installed := release.Version{0, 1, 0}
	dir := filepath.Join(t.TempDir(), "versions")
	var old, next release.Kept
	book := func(f func(*release.Book)) {
		s := open(t, dir)
		b := s.Book()
		f(&b)
		if err := s.Save(b); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		do   func()
		runs int // minor version; 1: what is installed
	}{
		{func() { old = add(t, open(t, dir), 2) }, 1},
		{func() {
			book(func(b *release.Book) {
				if err := b.Try(old, now); err != nil {
					t.Fatal(err)
				}
			})
		}, 1},
		{func() { book((*release.Book).Confirm) }, 2},
		{func() { write(t, filepath.Join(dir, ".partial-croft"), "half of it") }, 2},
		{func() { write(t, filepath.Join(dir, ".partial-book.json"), `{"newest`) }, 2},
		{func() { next = add(t, open(t, dir), 3) }, 2},
		{func() {
			book(func(b *release.Book) {
				if err := b.Try(next, now); err != nil {
					t.Fatal(err)
				}
			})
		}, 2},
		{func() { book((*release.Book).Confirm) }, 3},
		{func() { write(t, open(t, dir).Path(next), "rotten") }, 2},
		{func() { write(t, open(t, dir).Path(old), "rotten") }, 1},
	} {
		step.do()
		k, path, ok := open(t, dir).Next(installed)
		runs := 1
		if ok {
			runs = int(k.Version[1])
			if err := open(t, dir).Holds(k); err != nil || !open(t, dir).Has(path) {
				t.Errorf("step %d: %s: %v", i, path, err)
			}
		}
		if runs != step.runs {
			t.Errorf("step %d: 0.%d.0 is started, want 0.%d.0", i, runs, step.runs)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is not the build of a release leaves nothing on the shelf.
func TestNotTheBuild(t *testing.T) {
	k, b := program(2)
	other, lies := program(3)
	other.Version = release.Version{0, 4, 0}
	for name, c := range map[string]struct {
		k    release.Kept
		b    []byte
		want error
	}{
		"short":           {k, b[1:], shelf.ErrBuild},
		"long":            {k, append(bytes.Clone(b), '\n'), shelf.ErrBuild},
		"another":         {k, bytes.ToUpper(b), shelf.ErrBuild},
		"another version": {other, lies, shelf.ErrCheck},
	} {
		dir := t.TempDir()
		s := open(t, dir)
		if err := s.Add(t.Context(), c.k, bytes.NewReader(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: it leaves %v, %v", name, left, err)
		}
	}
}

// A book that cannot be read is told, and is not taken for one with nothing in it.
func TestDamagedBook(t *testing.T) {
	for name, text := range map[string]string{"cut off": `{"newest": "cro`, "no release": `{"newest": "1"}`, "long": strings.Repeat(" ", 65<<10)} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "book.json"), text)
		if _, err := shelf.Open(dir); !errors.Is(err, shelf.ErrBook) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Sweep leaves what the book has and what runs.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	one, two, three := add(t, s, 2), add(t, s, 3), add(t, s, 4)
	write(t, filepath.Join(dir, ".partial-croft"), "half of it")
	b := s.Book()
	b.Current = &one
	if err := s.Save(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(s.Path(two)); err != nil {
		t.Fatal(err)
	}
	if open(t, dir).Holds(one) != nil || s.Holds(two) != nil || s.Holds(three) == nil {
		t.Error("what is of use and what is not")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 { // with the book
		t.Errorf("%v, %v", left, err)
	}
}
