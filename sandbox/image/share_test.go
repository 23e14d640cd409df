// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/swarm"
)

// noise is a blob that no two pieces of are the same.
func noise(t testing.TB, size int) ([]byte, lease.Digest, swarm.Sums) {
	t.Helper()
	blob := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	r.Read(blob)
	sums, d, err := swarm.Sum(bytes.NewReader(blob), int64(size))
	if err != nil {
		t.Fatal(err)
	}
	return blob, d, sums
}

func pieceOf(blob []byte, i int) []byte {
	offset, length := swarm.Span(int64(len(blob)), i)
	return blob[offset : offset+length]
}

// Pieces come in any order and from the start on, over a crash, and are judged each.
func TestPiecesArriveInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	blob, d, sums := noise(t, 4*swarm.MinPiece+100)
	size := int64(len(blob))
	s := open(t, dir, size)
	if err := s.Put(d, 0, pieceOf(blob, 0)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a piece of what nobody wants: %v", err)
	}
	if _, err := s.Adopt(t.Context(), d, size, sums[32:]); !errors.Is(err, swarm.ErrSums) {
		t.Errorf("sums of something else: %v", err)
	}
	if have, err := s.Adopt(t.Context(), d, size, sums); err != nil || have.Len() != 0 {
		t.Fatal(have, err)
	}
	changed := s.Changed(d)
	if err := s.Put(d, 2, pieceOf(blob, 2)); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := s.Put(d, 4, pieceOf(blob, 1)); !errors.Is(err, swarm.ErrPiece) {
		t.Errorf("another piece: %v", err)
	}
	if h, ok := s.Holding(d); !ok || h.Whole || h.Pieces.Len() != 1 || !h.Pieces.Has(2) {
		t.Errorf("%+v, %v", h, ok)
	}
	buf := make([]byte, swarm.MinPiece)
	if b, err := s.Piece(d, 2, buf); err != nil || !bytes.Equal(b, pieceOf(blob, 2)) {
		t.Errorf("reading what is there: %v", err)
	}
	for _, i := range []int{0, 4, -1, 99} {
		if _, err := s.Piece(d, i, buf); !errors.Is(err, swarm.ErrUnknown) {
			t.Errorf("reading piece %d: %v", i, err)
		}
	}

	s = open(t, dir, size) // a crash
	if offset, err := s.Begin(d, size); err != nil || offset != 0 {
		t.Fatal(offset, err) // the file has holes: nothing counts unjudged
	}
	if have, err := s.Adopt(t.Context(), d, size, sums); err != nil || have.Len() != 1 || !have.Has(2) {
		t.Fatal(have, err)
	}
	half := int64(swarm.MinPiece * 3 / 2)
	if next, err := s.Append(d, 0, blob[:half]); err != nil || next != half {
		t.Fatal(next, err)
	}
	if _, err := s.Append(d, half+1, blob[half+1:]); !errors.Is(err, ErrOffset) {
		t.Errorf("a gap: %v", err)
	}
	wrong := bytes.Clone(blob)
	wrong[swarm.MinPiece*2-1]++
	if next, err := s.Append(d, half, wrong[half:]); !errors.Is(err, ErrOffset) || next != swarm.MinPiece {
		t.Errorf("a wrong byte: at %d, %v", next, err)
	}
	if _, ok := s.Holding(d); ok {
		t.Error("what may be wrong is for others")
	}
	if have, err := s.Adopt(t.Context(), d, size, sums); err != nil || have.Len() != 2 || have.Has(1) {
		t.Fatal(have, err)
	}
	if err := s.Put(d, 1, pieceOf(blob, 1)); err != nil {
		t.Fatal(err)
	}
	next, err := s.Append(d, swarm.MinPiece, blob[swarm.MinPiece:]) // what is there is passed over
	if err != nil || next != size {
		t.Fatal(next, err)
	}
	if err := s.Finish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.Used(); used != size {
		t.Errorf("%d bytes used of %d", used, size)
	}
	s = open(t, dir, size)
	if h, ok := s.Holding(d); !ok || !h.Whole {
		t.Errorf("%+v, %v", h, ok)
	}
	if got, err := s.SumsOf(d); err != nil || !bytes.Equal(got, sums) {
		t.Errorf("its sums: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "partial")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if have, err := s.Adopt(t.Context(), d, size, sums); err != nil || have.Len() != swarm.Count(size) {
		t.Errorf("of what is there: %v", err)
	}
	if err := s.Delete(d); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whoever asks for what is not here leaves nothing behind.
func TestQuestionsLeaveNothing(t *testing.T) {
	s := open(t, t.TempDir(), 1<<20)
	blob, d, _ := noise(t, 100)
	store(t, s, blob)
	for i := range 10000 {
		if s.Changed(lease.Digest{byte(i), byte(i >> 8)}) != nil {
			t.Fatal("what is not here is waited for")
		}
	}
	if s.Changed(d) != nil || len(s.changed) != 0 {
		t.Errorf("%d are waited for", len(s.changed))
	}
}

// Whoever has the digest of what is arriving does not end it by another size, and bytes
// that the disk has changed are sent to nobody.
func TestWhatCameStands(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	blob, d, sums := noise(t, 2*swarm.MinPiece)
	size := int64(len(blob))
	if _, err := s.Begin(d, size+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Adopt(t.Context(), d, size, sums); err != nil { // nothing came of the other size
		t.Fatal(err)
	}
	if err := s.Put(d, 0, pieceOf(blob, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(d, size+1); !errors.Is(err, sandbox.ErrBusy) {
		t.Errorf("another size: %v", err)
	}
	if err := s.Put(d, 1, pieceOf(blob, 1)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, swarm.MinPiece)
	rot := func(kind string) {
		f, err := os.OpenFile(s.path(kind, d), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{blob[7] + 1}, 7)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Piece(d, 0, buf); err != nil || !bytes.Equal(b, pieceOf(blob, 0)) {
		t.Errorf("%v", err)
	}
	rot("blobs")
	if _, err := s.Piece(d, 0, buf); !errors.Is(err, ErrDigest) {
		t.Errorf("of a disk that rots: %v", err)
	}
	if err := s.Delete(d); err != nil {
		t.Fatal(err)
	}
	_, adoptErr := s.Adopt(t.Context(), d, size, sums)
	if err := errors.Join(adoptErr, s.Put(d, 0, pieceOf(blob, 0))); err != nil {
		t.Fatal(err)
	}
	rot("partial")
	if _, err := s.Piece(d, 0, buf); !errors.Is(err, swarm.ErrUnknown) {
		t.Errorf("of one that arrives: %v", err)
	}
}

// Sums that a power cut took are made anew.
func TestSumsAreMadeAnew(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	blob, d, sums := noise(t, 2*swarm.MinPiece)
	store(t, s, blob)
	for _, left := range [][]byte{{}, nil} {
		if err := os.Remove(s.path("sums", d)); err != nil {
			t.Fatal(err)
		}
		if left != nil {
			if err := os.WriteFile(s.path("sums", d), left, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.SumsOf(d); !errors.Is(err, swarm.ErrUnknown) {
			t.Errorf("%v", err)
		}
		s.summing.Lock() // they are made
		got, err := s.SumsOf(d)
		s.summing.Unlock()
		if err != nil || !bytes.Equal(got, sums) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// What arrives for hours goes on, and what belongs to it is not taken for old.
func TestGCSparesWhatArrives(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	blob, d, sums := noise(t, 2*swarm.MinPiece)
	if _, err := s.Begin(d, int64(len(blob))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keep(d); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Adopt(t.Context(), d, int64(len(blob)), sums); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * StalePartial)
	if err := errors.Join(s.writeSums(d, sums), os.Chtimes(s.path("sums", d), old, old), os.Chtimes(s.holes(d), old, old), os.Chtimes(s.path("private", d), old, old)); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(d, 1, pieceOf(blob, 1)); err != nil {
		t.Fatal(err)
	}
	none := func(lease.Digest) bool { return false }
	if err := s.GC(none, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(d, 0, pieceOf(blob, 0)); err != nil || !s.Private(d) {
		t.Errorf("it was thrown away: %v", err)
	}
	if err := s.GC(none, time.Now().Add(2*StalePartial)); err != nil || s.Private(d) {
		t.Errorf("it stays: %v", err)
	}
}

// Sums that are another blob's are found out at the end, and nothing stays of it.
func TestSumsOfAnotherBlob(t *testing.T) {
	blob, _, sums := noise(t, 100)
	s := open(t, t.TempDir(), 1000)
	other := lease.Digest{1}
	if _, err := s.Adopt(t.Context(), other, 100, sums); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(other, 0, blob); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), other); !errors.Is(err, ErrDigest) {
		t.Errorf("finishing: %v", err)
	}
	if used, _ := s.Used(); used != 0 {
		t.Errorf("%d bytes used after it", used)
	}
}

// What is private is for nobody else, over a restart, until it is deleted.
func TestPrivateBlobsAreNotForOthers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	blob, d, _ := noise(t, 100)
	if private, err := s.Keep(d); err != nil || private || len(s.private) != 0 {
		t.Fatalf("what nobody began is marked: %v", err)
	}
	if _, err := s.Begin(d, 100); err != nil {
		t.Fatal(err)
	}
	if private, err := s.Keep(d); err != nil || !private {
		t.Fatal(private, err)
	}
	store(t, s, blob)
	for range 2 {
		if h, ok := s.Holding(d); ok {
			t.Errorf("others are told %+v", h)
		}
		if _, err := s.Piece(d, 0, make([]byte, swarm.MinPiece)); !errors.Is(err, swarm.ErrUnknown) {
			t.Errorf("others read it: %v", err)
		}
		if _, err := s.SumsOf(d); !errors.Is(err, swarm.ErrUnknown) {
			t.Errorf("others are told its sums: %v", err)
		}
		if size, ok := s.Has(d); !ok || size != 100 {
			t.Errorf("it is not there: %d", size)
		}
		s = open(t, dir, 1<<20)
	}
	if err := s.Delete(d); err != nil || s.Private(d) {
		t.Errorf("deleted: %v", err)
	}
	store(t, s, blob)
	if private, err := s.Keep(d); err != nil || private || s.Private(d) {
		t.Errorf("what is for all becomes private: %v", err)
	}
	_, d, sums := noise(t, 200)
	if _, err := s.Adopt(t.Context(), d, 200, sums); err != nil {
		t.Fatal(err)
	}
	if private, err := s.Keep(d); err != nil || private {
		t.Errorf("what others may have had becomes private: %v", err)
	}
	// What turns out to be another blob leaves no mark.
	other := lease.Digest{9}
	if _, err := s.Begin(other, 1); err != nil {
		t.Fatal(err)
	}
	_, keepErr := s.Keep(other)
	_, err := s.Append(other, 0, []byte{1})
	if err := errors.Join(keepErr, err, s.Finish(t.Context(), other)); !errors.Is(err, ErrDigest) || s.Private(other) {
		t.Errorf("a mark stays: %v", err)
	}
}

// A private blob that cannot be removed keeps its mark.
func TestTheMarkGoesLast(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	blob, d, _ := noise(t, 100)
	if _, err := s.Begin(d, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keep(d); err != nil {
		t.Fatal(err)
	}
	store(t, s, blob)
	at := s.path("blobs", d)
	inTheWay := filepath.Join(at, "x")
	if err := errors.Join(os.Remove(at), os.MkdirAll(inTheWay, 0o700)); err != nil { // a directory that is not empty stays
		t.Fatal(err)
	}
	if err := s.Delete(d); err == nil {
		t.Fatal("it is removed")
	}
	if s = open(t, dir, 1<<20); !s.Private(d) {
		t.Error("its mark is gone")
	}
}

// A full disk is an error that says so, and leaves no piece that is not whole.
func TestRootPiecesOnAFullDisk(t *testing.T) {
	s := open(t, tinyDisk(t), 1<<30)
	blob, d, sums := noise(t, 16*swarm.MinPiece)
	if _, err := s.Adopt(t.Context(), d, int64(len(blob)), sums); err != nil {
		t.Fatal(err)
	}
	full := -1
	for i := range swarm.Count(int64(len(blob))) {
		err := s.Put(d, i, pieceOf(blob, i))
		if errors.Is(err, sandbox.ErrNoSpace) {
			full = i
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if full < 0 {
		t.Fatal("4 MiB fit on 1 MiB")
	}
	if h, _ := s.Holding(d); h.Pieces.Len() != full {
		t.Errorf("%d pieces count, %d were put", h.Pieces.Len(), full)
	}
	if _, ok := s.Has(d); ok {
		t.Error("half a blob is there")
	}
}
