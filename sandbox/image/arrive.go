// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/swarm"
)

// arrival is a blob that is arriving: from its start on, and, where its pieces can
// be judged, in any order as well.
type arrival struct {
	size int64
	next int64      // the first byte that is missing
	sums swarm.Sums // nil: pieces cannot be judged
	have swarm.Set  // pieces that were judged
	busy bool       // being read from end to end, without the lock
	came time.Time  // when some of it last did
}

// skip moves next over what is there.
func (a *arrival) skip() {
	for a.sums != nil && a.next < a.size {
		i := int(a.next / swarm.PieceSize(a.size))
		if !a.have.Has(i) {
			return
		}
		offset, length := swarm.Span(a.size, i)
		a.next = offset + length
	}
}

// arriving returns an arrival that nobody reads.
func (s *Store) arriving(d lease.Digest) (*arrival, error) {
	a, ok := s.partial[d]
	switch {
	case !ok:
		return nil, ErrUnknown
	case a.busy:
		return nil, fmt.Errorf("it is being checked: %w", sandbox.ErrBusy)
	}
	return a, nil
}

// Begin sets room aside for a blob and returns the offset of the first byte
// that is missing; size itself when the blob is there already.
func (s *Store) Begin(d lease.Digest, size int64) (offset int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.begin(d, size)
	if err != nil {
		return 0, fmt.Errorf("beginning blob %s: %w", d, err)
	}
	if a == nil {
		return size, nil
	}
	return a.next, nil
}

// begin is Begin with mu held; nil is a blob that is there.
func (s *Store) begin(d lease.Digest, size int64) (*arrival, error) {
	if have, ok := s.sizes["blobs/"+name(d)]; ok {
		if have != size {
			return nil, fmt.Errorf("it has %d bytes, %d announced: %w", have, size, ErrSize)
		}
		return nil, nil
	}
	if size <= 0 || size > MaxBlob {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", size, int64(MaxBlob), ErrSize)
	}
	a, known := s.partial[d]
	if known && a.size == size {
		return a, nil
	}
	if known && a.busy {
		return nil, fmt.Errorf("it is being checked: %w", sandbox.ErrBusy)
	}
	if known && time.Since(a.came) < sizeStands { // else anybody with the digest ends it with one question
		return nil, fmt.Errorf("%d of %d bytes have come: %w", a.next, a.size, sandbox.ErrBusy)
	}
	if !known && len(s.partial) >= MaxPartial {
		return nil, fmt.Errorf("%d blobs are arriving: %w", len(s.partial), sandbox.ErrBusy)
	}
	entry := "partial/" + name(d)
	if s.used-s.sizes[entry]+size > s.quota {
		return nil, fmt.Errorf("%d bytes, %d of %d used: %w", size, s.used, s.quota, sandbox.ErrNoSpace)
	}
	next, err := s.resume(d, size)
	if err != nil {
		return nil, space(err)
	}
	a = &arrival{size: size, next: next}
	s.partial[d] = a
	s.keep(entry, size)
	return a, nil
}

// resume says how much of a blob an earlier try left. A file that pieces were put
// into has holes: it counts for nothing until they are judged (Adopt).
func (s *Store) resume(d lease.Digest, size int64) (next int64, err error) {
	f, err := os.OpenFile(s.path("partial", d), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() > size { // another size was announced before
		return 0, f.Truncate(0)
	}
	if _, err := os.Stat(s.holes(d)); err == nil {
		return 0, nil
	}
	return info.Size(), nil
}

// holes is the mark of an arriving blob that has some.
func (s *Store) holes(d lease.Digest) string { return s.path("partial", d) + "-pieces" }

// Append adds bytes at offset and returns the first that is missing then. Those that
// are there already are passed over; a gap is [ErrOffset], and so are bytes that
// contradict the sums, which hold no longer then. After an error nothing was added, or
// whole pieces.
func (s *Store) Append(d lease.Digest, offset int64, piece []byte) (next int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.arriving(d)
	if err != nil {
		return 0, fmt.Errorf("appending to blob %s: %w", d, err)
	}
	if offset < 0 || len(piece) > MaxPiece || offset+int64(len(piece)) > a.size {
		return 0, fmt.Errorf("appending %d bytes at %d to blob %s of %d: %w", len(piece), offset, d, a.size, ErrSize)
	}
	if offset > a.next || a.sums == nil && offset < a.next {
		return 0, fmt.Errorf("appending to blob %s at %d, want %d: %w", d, offset, a.next, ErrOffset)
	}
	f, err := os.OpenFile(s.path("partial", d), os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("appending to blob %s: %w", d, err)
	}
	defer f.Close()
	before, at := a.have.Len(), a.next
	if err = a.append(f, offset, piece); a.next > at {
		a.came = time.Now()
	}
	if a.have.Len() > before {
		s.tell(d)
	}
	if err != nil {
		return a.next, fmt.Errorf("appending to blob %s: %w", d, space(err))
	}
	return a.next, nil
}

// append writes what is missing, and judges each piece as it is full.
func (a *arrival) append(f *os.File, offset int64, piece []byte) error {
	if a.sums == nil {
		if _, err := f.WriteAt(piece, offset); err != nil {
			return errors.Join(err, f.Truncate(offset))
		}
		a.next = offset + int64(len(piece))
		return nil
	}
	end := offset + int64(len(piece))
	for a.next < end {
		i := int(a.next / swarm.PieceSize(a.size))
		from, length := swarm.Span(a.size, i)
		upTo := min(end, from+length)
		if _, err := f.WriteAt(piece[a.next-offset:upTo-offset], a.next); err != nil {
			return err
		}
		if a.next = upTo; upTo < from+length {
			return nil
		}
		whole := make([]byte, length)
		if _, err := f.ReadAt(whole, from); err != nil {
			a.next = from
			return err
		}
		if !a.sums.Holds(i, whole) {
			// One of both is wrong, and only the digest can tell: anybody may have brought
			// the sums, and they are let go.
			a.next, a.sums, a.have = from, nil, nil
			return fmt.Errorf("piece %d is not what its sum says: %w", i, ErrOffset)
		}
		a.have.Add(i)
		a.skip()
	}
	return nil
}

// Finish verifies a blob that has arrived and makes it durable. One with
// another digest is thrown away. Finishing a blob that is there does nothing.
func (s *Store) Finish(ctx context.Context, d lease.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.sizes["blobs/"+name(d)]; ok {
		return nil
	}
	a, err := s.arriving(d)
	for errors.Is(err, sandbox.ErrBusy) { // somebody else finishes it
		changed := s.change(d)
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if _, ok := s.sizes["blobs/"+name(d)]; ok {
			return nil
		}
		if a, err = s.arriving(d); ctx.Err() != nil {
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("finishing blob %s: %w", d, err)
	}
	// The size first: else a blob that lacks its last byte could be hashed again
	// and again, at no cost to who asks for it.
	if a.next != a.size {
		return fmt.Errorf("finishing blob %s: %d bytes of %d: %w", d, a.next, a.size, ErrSize)
	}
	a.busy = true // whoever asks for others does not wait for a gigabyte to be read
	s.mu.Unlock()
	sums, err := s.verify(ctx, d, a.size)
	s.mu.Lock()
	a.busy = false
	defer s.tell(d)
	if err != nil {
		if errors.Is(err, ErrDigest) {
			err = errors.Join(err, s.discard(d))
		}
		return fmt.Errorf("finishing blob %s: %w", d, space(err))
	}
	if err := s.writeSums(d, sums); err != nil { // durable before the blob is
		return fmt.Errorf("finishing blob %s: %w", d, space(err))
	}
	if err := os.Rename(s.path("partial", d), s.path("blobs", d)); err != nil {
		return fmt.Errorf("finishing blob %s: %w", d, err)
	}
	delete(s.partial, d)
	s.drop("partial/" + name(d))
	s.keep("blobs/"+name(d), a.size)
	if err := errors.Join(ignoreMissing(os.Remove(s.holes(d))), syncDir(filepath.Join(s.dir, "blobs"))); err != nil {
		return fmt.Errorf("finishing blob %s: %w", d, err)
	}
	return nil
}

// verify reads an arrived blob and makes its bytes durable.
func (s *Store) verify(ctx context.Context, d lease.Digest, size int64) (swarm.Sums, error) {
	f, err := os.Open(s.path("partial", d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sums, digest, err := swarm.Sum(&patient{ctx, f}, size)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("it is shorter than %d bytes: %w", size, ErrSize)
	case err != nil:
		return nil, err
	case digest != d:
		return nil, ErrDigest
	}
	return sums, f.Sync()
}

// discard throws away an arriving blob.
func (s *Store) discard(d lease.Digest) error {
	delete(s.partial, d)
	s.drop("partial/" + name(d))
	s.tell(d)
	err := errors.Join(ignoreMissing(os.Remove(s.path("partial", d))), ignoreMissing(os.Remove(s.holes(d))))
	if _, whole := s.sizes["blobs/"+name(d)]; err == nil && !whole {
		err = s.unmark(d)
	}
	return err
}
