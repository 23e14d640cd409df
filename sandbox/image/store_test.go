// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
)

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }

func open(t testing.TB, dir string, quota int64) *Store {
	t.Helper()
	s, err := Open(dir, quota)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// store puts a rootfs into a store.
func store(t testing.TB, s *Store, blob []byte) sandbox.Program {
	t.Helper()
	d := digest(blob)
	if _, err := s.Begin(d, int64(len(blob))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(d, 0, blob); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	return sandbox.Program{Kind: sandbox.RootFS, Blob: d, Size: int64(len(blob)), Args: []string{"x"}}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// tinyDisk mounts a file system of 1 MiB.
func tinyDisk(t *testing.T) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A blob arrives in pieces over two openings of the store.
func TestStoreResumes(t *testing.T) {
	dir := t.TempDir()
	blob := []byte("some bytes that arrive in pieces")
	d := digest(blob)
	s := open(t, dir, 100)
	if offset, err := s.Begin(d, int64(len(blob))); offset != 0 || err != nil {
		t.Fatal(offset, err)
	}
	if _, err := s.Append(d, 0, blob[:10]); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Has(d); ok {
		t.Error("half a blob is there")
	}
	if _, err := s.Append(d, 5, blob[5:]); !errors.Is(err, ErrOffset) {
		t.Errorf("a piece from before: %v", err)
	}
	if _, err := s.Append(d, 10, append(blob[10:], 'x')); !errors.Is(err, ErrSize) {
		t.Errorf("a piece too long: %v", err)
	}
	unread, cancel := context.WithCancel(t.Context())
	cancel() // nothing of it may be read to find out
	if err := s.Finish(unread, d); !errors.Is(err, ErrSize) {
		t.Errorf("finishing half: %v", err)
	}
	s = open(t, dir, 100)
	if _, err := s.Append(d, 10, blob[10:]); !errors.Is(err, ErrUnknown) {
		t.Errorf("a piece before Begin: %v", err)
	}
	if offset, err := s.Begin(d, int64(len(blob))); offset != 10 || err != nil {
		t.Fatal(offset, err)
	}
	if _, err := s.Append(d, 10, blob[10:]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again does nothing
		if err := s.Finish(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, 100)
	if size, ok := s.Has(d); !ok || size != int64(len(blob)) {
		t.Error(size, ok)
	}
	if offset, err := s.Begin(d, int64(len(blob))); offset != int64(len(blob)) || err != nil {
		t.Error("beginning what is there", offset, err)
	}
	f, err := s.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestStoreVerifies(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 100)
	d := digest([]byte("right"))
	if _, err := s.Begin(d, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(d, 0, []byte("wrong")); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), d); !errors.Is(err, ErrDigest) {
		t.Errorf("finishing other bytes: %v", err)
	}
	if used, _ := s.Used(); used != 0 {
		t.Errorf("%d bytes used after it", used)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "partial")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := s.Open(d); !errors.Is(err, ErrUnknown) {
		t.Errorf("opening what is not there: %v", err)
	}
}

func TestStoreQuota(t *testing.T) {
	s := open(t, t.TempDir(), 100)
	first, second := []byte("first"), []byte("second")
	if _, err := s.Begin(digest(first), 60); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(digest(second), 41); !errors.Is(err, sandbox.ErrNoSpace) {
		t.Errorf("101 of 100 bytes: %v", err)
	}
	if err := s.Delete(digest(first)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(digest(second), 100); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
	for _, size := range []int64{0, -1, MaxBlob + 1} {
		if _, err := s.Begin(digest(first), size); !errors.Is(err, ErrSize) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	many := open(t, t.TempDir(), 1<<20)
	for i := range MaxPartial {
		if _, err := many.Begin(lease.Digest{byte(i), 1}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := many.Begin(lease.Digest{255, 2}, 1); !errors.Is(err, sandbox.ErrBusy) {
		t.Errorf("one blob more: %v", err)
	}
}

func TestRootStoreGC(t *testing.T) {
	needRoot(t)
	s := open(t, t.TempDir(), 1<<20)
	kept := store(t, s, archive(t, file("kept", "x")))
	lost := store(t, s, archive(t, file("lost", "x")))
	if _, err := s.Root(t.Context(), lost, sandbox.FirstUID); err != nil {
		t.Fatal(err)
	}
	arriving := digest([]byte("arriving"))
	if _, err := s.Begin(arriving, 8); err != nil {
		t.Fatal(err)
	}
	keep := func(d lease.Digest) bool { return d == kept.Blob }
	if err := s.GC(keep, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Has(lost.Blob); !ok {
		t.Error("a blob that has just arrived is gone")
	}
	if err := s.GC(keep, time.Now().Add(MinAge+time.Second)); err != nil {
		t.Fatal(err)
	}
	_, keptOK := s.Has(kept.Blob)
	_, lostOK := s.Has(lost.Blob)
	used, _ := s.Used()
	if !keptOK || lostOK || used != kept.Size+8 {
		t.Errorf("kept %v, lost %v, %d bytes used", keptOK, lostOK, used)
	}
	if err := s.GC(keep, time.Now().Add(StalePartial+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.Used(); used != kept.Size {
		t.Errorf("%d bytes used", used)
	}
}

// A root is made once, survives a new opening, and what was half made goes.
func TestRootIsMadeOnce(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	p := store(t, s, archive(t, file("here", "x")))
	first, err := s.Root(t.Context(), p, sandbox.FirstUID)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(first.Path, "here")); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "roots", ".new-1", "root"), 0o700); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	again, err := s.Root(t.Context(), p, sandbox.FirstUID)
	if err != nil || again != first {
		t.Errorf("%v, %v; before %v", again, err, first)
	}
	if _, err := os.Stat(filepath.Join(dir, "roots", ".new-1")); err == nil {
		t.Error("half a root is still there")
	}
	binary := store(t, s, []byte("#!/bin/sh\n"))
	binary.Kind = sandbox.Binary
	if _, err := s.Root(t.Context(), binary, sandbox.FirstUID); !errors.Is(err, sandbox.ErrProgram) {
		t.Errorf("a script as binary: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := store(t, s, archive(t, file("other", "x")))
	if _, err := s.Root(ctx, other, sandbox.FirstUID); !errors.Is(err, context.Canceled) {
		t.Errorf("a root that nobody waits for: %v", err)
	}
}

// TestRootCopy checks the way for kernels without id-mapped mounts.
func TestRootCopy(t *testing.T) {
	needRoot(t)
	from, to := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(from, "f"), []byte("x"), 0o640), os.Chown(filepath.Join(from, "f"), 7, 8),
		os.Mkdir(filepath.Join(from, "d"), 0o750), os.Symlink("f", filepath.Join(from, "d", "l"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := copyShifted(t.Context(), from, root, 1000, 1<<20); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]int{"f": {1007, 1008}, "d": {1000, 1000}, "d/l": {1000, 1000}} {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		if uid, gid := owner(info); uid != want[0] || gid != want[1] {
			t.Errorf("%s belongs to %d:%d", name, uid, gid)
		}
	}
	if _, err := copyShifted(t.Context(), from, root, 1000, 0); !errors.Is(err, sandbox.ErrNoSpace) {
		t.Errorf("a copy without room: %v", err)
	}
}
