// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/swarm"
)

// Adopt has the pieces of a blob of size bytes be judged by sums from now on, and
// returns those that an earlier try left. Sums that differ from those in force take
// their place. A blob that is there has all.
func (s *Store) Adopt(ctx context.Context, d lease.Digest, size int64, sums swarm.Sums) (swarm.Set, error) {
	wrap := func(err error) error { return fmt.Errorf("taking the sums of blob %s: %w", d, space(err)) }
	if err := sums.Check(size); err != nil {
		return nil, wrap(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.begin(d, size)
	switch {
	case err != nil:
		return nil, wrap(err)
	case a == nil:
		return swarm.All(size), nil
	case a.busy:
		return nil, wrap(fmt.Errorf("it is being checked: %w", sandbox.ErrBusy))
	case bytes.Equal(a.sums, sums):
		return bytes.Clone(a.have), nil
	}
	if err := os.WriteFile(s.holes(d), nil, 0o600); err != nil {
		return nil, wrap(err)
	}
	a.busy = true
	s.mu.Unlock()
	have, err := s.judge(ctx, d, size, sums)
	s.mu.Lock()
	a.busy = false
	s.tell(d)
	if err != nil {
		return nil, wrap(err)
	}
	a.sums, a.have, a.next = sums, have, 0
	a.skip()
	return bytes.Clone(have), nil
}

// judge looks which pieces are there.
func (s *Store) judge(ctx context.Context, d lease.Digest, size int64, sums swarm.Sums) (swarm.Set, error) {
	f, err := os.Open(s.path("partial", d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	have, buf := swarm.NewSet(swarm.Count(size)), make([]byte, swarm.PieceSize(size))
	for i := range swarm.Count(size) {
		offset, length := swarm.Span(size, i)
		if offset+length > info.Size() {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := f.ReadAt(buf[:length], offset); err != nil {
			return nil, err
		}
		if sums.Holds(i, buf[:length]) {
			have.Add(i)
		}
	}
	return have, nil
}

// Put adds a piece, if it is what its sum says; else [swarm.ErrPiece].
func (s *Store) Put(d lease.Digest, i int, piece []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrap := func(err error) error { return fmt.Errorf("putting piece %d of blob %s: %w", i, d, space(err)) }
	if _, ok := s.sizes["blobs/"+name(d)]; ok {
		return nil
	}
	a, ok := s.partial[d]
	switch {
	case !ok:
		return wrap(ErrUnknown)
	case a.have.Has(i):
		return nil
	case a.busy:
		return wrap(fmt.Errorf("it is being checked: %w", sandbox.ErrBusy))
	case a.sums == nil: // bytes that somebody appended contradicted them
		return wrap(swarm.ErrSums)
	case !a.sums.Holds(i, piece):
		return wrap(swarm.ErrPiece)
	}
	f, err := os.OpenFile(s.path("partial", d), os.O_WRONLY, 0)
	if err != nil {
		return wrap(err)
	}
	offset, _ := swarm.Span(a.size, i)
	_, err = f.WriteAt(piece, offset)
	if err := errors.Join(err, f.Close()); err != nil {
		return wrap(err) // a hole stays: what was written of it is not counted
	}
	a.have.Add(i)
	a.skip()
	a.came = time.Now()
	s.tell(d)
	return nil
}

// Holding says what there is of a blob for other nodes.
func (s *Store) Holding(d lease.Digest) (swarm.Holding, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.private[d] {
		return swarm.Holding{}, false
	}
	if size, ok := s.sizes["blobs/"+name(d)]; ok {
		return swarm.Holding{Size: size, Whole: true}, true
	}
	if a := s.partial[d]; a != nil && a.sums != nil {
		return swarm.Holding{Size: a.size, Pieces: bytes.Clone(a.have)}, true
	}
	return swarm.Holding{}, false
}

// SumsOf are the sums of a blob that is there, for other nodes.
func (s *Store) SumsOf(d lease.Digest) (swarm.Sums, error) {
	h, ok := s.Holding(d)
	if !ok || !h.Whole {
		return nil, swarm.ErrUnknown
	}
	b, err := os.ReadFile(s.path("sums", d))
	if errors.Is(err, os.ErrNotExist) || err == nil && swarm.Sums(b).Check(h.Size) != nil {
		s.sumAnew(d, h.Size)
		return nil, fmt.Errorf("the sums of blob %s are being made: %w", d, swarm.ErrUnknown)
	}
	return b, err
}

// writeSums keeps the sums of a blob.
func (s *Store) writeSums(d lease.Digest, sums swarm.Sums) error {
	at := s.path("sums", d)
	f, err := os.OpenFile(at+"-new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(sums)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(at+"-new"))
	}
	return errors.Join(os.Rename(at+"-new", at), syncDir(filepath.Join(s.dir, "sums")))
}

// sumAnew makes the sums of a blob that came before there were any, or whose sums a
// power cut took: of one at a time, while whoever asked comes again.
func (s *Store) sumAnew(d lease.Digest, size int64) {
	if !s.summing.TryLock() {
		return
	}
	go func() {
		defer s.summing.Unlock()
		f, err := s.Open(d)
		if err != nil {
			return
		}
		defer f.Close()
		if sums, digest, err := swarm.Sum(f, size); err == nil && digest == d {
			s.mu.Lock()
			defer s.mu.Unlock()
			if _, ok := s.sizes["blobs/"+name(d)]; ok {
				_ = s.writeSums(d, sums) // else it is tried again
			}
		}
	}()
}

// Piece reads a piece for another node. buf has room for one.
func (s *Store) Piece(d lease.Digest, i int, buf []byte) ([]byte, error) {
	h, ok := s.Holding(d)
	if !ok || i < 0 || i >= swarm.Count(h.Size) || !h.Whole && !h.Pieces.Has(i) {
		return nil, swarm.ErrUnknown
	}
	offset, length := swarm.Span(h.Size, i)
	kind := "partial"
	if h.Whole {
		kind = "blobs"
	}
	f, err := os.Open(s.path(kind, d))
	if errors.Is(err, os.ErrNotExist) && !h.Whole { // it became whole meanwhile
		f, err = os.Open(s.path("blobs", d))
	}
	if errors.Is(err, os.ErrNotExist) {
		err = swarm.ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("reading piece %d of blob %s: %w", i, d, err)
	}
	defer f.Close()
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, length), buf[:length]); err != nil {
		return nil, fmt.Errorf("reading piece %d of blob %s: %w", i, d, err)
	}
	if err := s.holds(d, i, buf[:length]); err != nil {
		return nil, fmt.Errorf("reading piece %d of blob %s: %w", i, d, err)
	}
	return buf[:length], nil
}

// holds judges what was read of a piece once more: meanwhile unjudged bytes may have
// taken its place, and disks rot. Whoever sends such a piece is taken for a liar.
func (s *Store) holds(d lease.Digest, i int, piece []byte) error {
	s.mu.Lock()
	a := s.partial[d]
	var sums swarm.Sums
	if a != nil && a.have.Has(i) {
		sums = a.sums
	}
	s.mu.Unlock()
	if a != nil {
		if !sums.Holds(i, piece) {
			return swarm.ErrUnknown
		}
		return nil
	}
	f, err := os.Open(s.path("sums", d))
	if errors.Is(err, os.ErrNotExist) { // it arrived before there were any
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var sum [sha256.Size]byte
	if _, err := f.ReadAt(sum[:], int64(i)*sha256.Size); err != nil {
		return err
	}
	if sha256.Sum256(piece) != sum {
		return fmt.Errorf("other bytes are on the disk than came: %w", ErrDigest)
	}
	return nil
}

// Changed is closed when there is more of a blob that is arriving, or less. It is nil
// for any other: whoever asks for what is not here leaves nothing behind.
func (s *Store) Changed(d lease.Digest) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partial[d] == nil {
		return nil
	}
	return s.change(d)
}

// change is Changed with mu held.
func (s *Store) change(d lease.Digest) <-chan struct{} {
	c := s.changed[d]
	if c == nil {
		c = make(chan struct{})
		s.changed[d] = c
	}
	return c
}

// tell wakes who waits for a blob. It is called with mu held.
func (s *Store) tell(d lease.Digest) {
	if c := s.changed[d]; c != nil {
		close(c)
		delete(s.changed, d)
	}
}

// Keep marks a blob that is arriving as not for other nodes, and reports whether it is
// none. One that is here, or whose pieces others may have had, stays for them; and so
// does what nobody began, for a mark costs room that all share.
func (s *Store) Keep(d lease.Digest) (private bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.partial[d]
	if s.private[d] || a == nil || a.sums != nil || a.busy {
		return s.private[d], nil
	}
	if len(s.private) >= MaxPrivate {
		return false, fmt.Errorf("%d blobs are private: %w", len(s.private), sandbox.ErrBusy)
	}
	if err := os.WriteFile(s.path("private", d), nil, 0o600); err != nil {
		return false, fmt.Errorf("keeping blob %s from others: %w", d, space(err))
	}
	s.private[d] = true
	return true, syncDir(filepath.Join(s.dir, "private"))
}

// unmark ends that a blob is not for others. It is called with mu held, once nothing
// of the blob is left.
func (s *Store) unmark(d lease.Digest) error {
	if !s.private[d] {
		return nil
	}
	if err := ignoreMissing(os.Remove(s.path("private", d))); err != nil {
		return err
	}
	delete(s.private, d)
	return nil
}

// Private reports whether a blob is not for other nodes.
func (s *Store) Private(d lease.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.private[d]
}

func (s *Store) loadPrivate() error {
	marks, err := os.ReadDir(filepath.Join(s.dir, "private"))
	for _, e := range marks {
		if d, err := lease.ParseDigest("sha256:" + strings.ToLower(e.Name())); err == nil {
			s.private[d] = true
		}
	}
	return err
}
