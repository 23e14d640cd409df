// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/sandbox"
)

// Store keeps blobs and roots below one directory.
type Store struct {
	dir   string
	quota int64
	make  chan struct{} // held while a root is made: one at a time spares the disk

	mu      sync.Mutex
	sizes   map[string]int64 // path below dir of everything kept, to its bytes
	used    int64            // their sum, with arriving blobs at their full size
	partial map[lease.Digest]int64
}

// Open makes or opens a store of at most quota bytes, blobs and roots together.
func Open(dir string, quota int64) (*Store, error) {
	s := &Store{dir: dir, quota: quota, make: make(chan struct{}, 1), sizes: map[string]int64{}, partial: map[lease.Digest]int64{}}
	for _, sub := range []string{"blobs", "partial", "roots"} {
		// Roots hold other people's programs: no user of this machine gets in.
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("opening blob store: %w", err)
		}
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("opening blob store: %w", err)
	}
	return s, nil
}

func (s *Store) load() error {
	blobs, err := os.ReadDir(filepath.Join(s.dir, "blobs"))
	if err != nil {
		return err
	}
	for _, e := range blobs {
		if info, err := e.Info(); err == nil {
			s.keep("blobs/"+e.Name(), info.Size())
		}
	}
	roots, err := os.ReadDir(filepath.Join(s.dir, "roots"))
	if err != nil {
		return err
	}
	for _, e := range roots {
		at := filepath.Join(s.dir, "roots", e.Name())
		b, err := os.ReadFile(filepath.Join(at, "size"))
		size, parseErr := strconv.ParseInt(string(b), 10, 64)
		if err != nil || parseErr != nil || strings.HasPrefix(e.Name(), ".") {
			if err := os.RemoveAll(at); err != nil { // half done
				return err
			}
			continue
		}
		s.keep("roots/"+e.Name(), size)
	}
	arriving, err := os.ReadDir(filepath.Join(s.dir, "partial"))
	if err != nil {
		return err
	}
	for _, e := range arriving {
		// Begin asks for its size again; until then it counts as it is.
		if info, err := e.Info(); err == nil {
			s.keep("partial/"+e.Name(), info.Size())
		}
	}
	return nil
}

func (s *Store) keep(path string, size int64) {
	s.used += size - s.sizes[path]
	s.sizes[path] = size
}

func (s *Store) drop(path string) {
	s.used -= s.sizes[path]
	delete(s.sizes, path)
}

func name(d lease.Digest) string { return hex.EncodeToString(d[:]) }

func (s *Store) path(kind string, d lease.Digest) string { return filepath.Join(s.dir, kind, name(d)) }

// Used returns the bytes that count against the quota, and the quota.
func (s *Store) Used() (used, quota int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.quota
}

// Has reports whether a verified blob is there, and its size in bytes.
func (s *Store) Has(d lease.Digest) (size int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, ok = s.sizes["blobs/"+name(d)]
	return size, ok
}

// Begin sets room aside for a blob and returns the offset of the first byte
// that is missing; size itself when the blob is there already.
func (s *Store) Begin(d lease.Digest, size int64) (offset int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sizes["blobs/"+name(d)]; ok {
		if have != size {
			return 0, fmt.Errorf("beginning blob %s: it has %d bytes, %d announced: %w", d, have, size, ErrSize)
		}
		return size, nil
	}
	if size <= 0 || size > MaxBlob {
		return 0, fmt.Errorf("beginning blob %s: %d bytes, at most %d: %w", d, size, int64(MaxBlob), ErrSize)
	}
	entry := "partial/" + name(d)
	_, known := s.partial[d]
	if !known && len(s.partial) >= MaxPartial {
		return 0, fmt.Errorf("beginning blob %s: %d blobs are arriving: %w", d, len(s.partial), sandbox.ErrBusy)
	}
	if s.used-s.sizes[entry]+size > s.quota {
		return 0, fmt.Errorf("beginning blob %s of %d bytes: %d of %d used: %w", d, size, s.used, s.quota, sandbox.ErrNoSpace)
	}
	f, err := os.OpenFile(s.path("partial", d), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("beginning blob %s: %w", d, space(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("beginning blob %s: %w", d, err)
	}
	offset = info.Size()
	if offset > size { // another size was announced before
		if err := f.Truncate(0); err != nil {
			return 0, fmt.Errorf("beginning blob %s: %w", d, err)
		}
		offset = 0
	}
	s.partial[d] = size
	s.keep(entry, size)
	return offset, nil
}

// Append adds a piece at offset. After an error the blob is as long as before.
func (s *Store) Append(d lease.Digest, offset int64, piece []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, ok := s.partial[d]
	if !ok {
		return fmt.Errorf("appending to blob %s: %w", d, ErrUnknown)
	}
	if len(piece) > MaxPiece || offset+int64(len(piece)) > size {
		return fmt.Errorf("appending %d bytes at %d to blob %s of %d: %w", len(piece), offset, d, size, ErrSize)
	}
	f, err := os.OpenFile(s.path("partial", d), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("appending to blob %s: %w", d, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("appending to blob %s: %w", d, err)
	}
	if info.Size() != offset {
		return fmt.Errorf("appending to blob %s at %d, want %d: %w", d, offset, info.Size(), ErrOffset)
	}
	if _, err := f.WriteAt(piece, offset); err != nil {
		return fmt.Errorf("appending to blob %s: %w", d, space(errors.Join(err, f.Truncate(offset))))
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
	size, ok := s.partial[d]
	if !ok {
		return fmt.Errorf("finishing blob %s: %w", d, ErrUnknown)
	}
	if err := s.verify(ctx, d, size); err != nil {
		if errors.Is(err, ErrDigest) {
			err = errors.Join(err, s.discard(d))
		}
		return fmt.Errorf("finishing blob %s: %w", d, space(err))
	}
	if err := os.Rename(s.path("partial", d), s.path("blobs", d)); err != nil {
		return fmt.Errorf("finishing blob %s: %w", d, err)
	}
	delete(s.partial, d)
	s.drop("partial/" + name(d))
	s.keep("blobs/"+name(d), size)
	if err := syncDir(filepath.Join(s.dir, "blobs")); err != nil {
		return fmt.Errorf("finishing blob %s: %w", d, err)
	}
	return nil
}

func (s *Store) verify(ctx context.Context, d lease.Digest, size int64) error {
	f, err := os.Open(s.path("partial", d))
	if err != nil {
		return err
	}
	defer f.Close()
	// The size first: else a blob that lacks its last byte could be hashed again
	// and again, at no cost to who asks for it.
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if n := info.Size(); n != size {
		return fmt.Errorf("%d bytes of %d: %w", n, size, ErrSize)
	}
	h := sha256.New()
	if _, err := io.Copy(h, &patient{ctx, f}); err != nil {
		return err
	}
	if lease.Digest(h.Sum(nil)) != d {
		return ErrDigest
	}
	return f.Sync()
}

// discard throws away an arriving blob.
func (s *Store) discard(d lease.Digest) error {
	delete(s.partial, d)
	s.drop("partial/" + name(d))
	return ignoreMissing(os.Remove(s.path("partial", d)))
}

// Open opens a verified blob.
func (s *Store) Open(d lease.Digest) (*os.File, error) {
	f, err := os.Open(s.path("blobs", d))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("opening blob %s: %w", d, err)
	}
	return f, nil
}

// Delete removes a blob, whole or arriving, and the roots made from it. The
// caller knows that no sliver uses them.
func (s *Store) Delete(d lease.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.discard(d), ignoreMissing(os.Remove(s.path("blobs", d)))}
	s.drop("blobs/" + name(d))
	for path := range s.sizes { // the order of removal shows nowhere
		if strings.HasPrefix(path, "roots/"+name(d)) {
			s.drop(path)
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, path)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("deleting blob %s: %w", d, err)
	}
	return nil
}

// GC deletes every blob that keep does not want and its roots, once they are
// [MinAge] old, and arriving blobs that nobody has touched for [StalePartial].
func (s *Store) GC(keep func(lease.Digest) bool, now time.Time) error {
	var errs []error
	for _, kind := range []string{"blobs", "roots", "partial"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, kind))
		errs = append(errs, err)
		for _, e := range entries {
			digits, _, _ := strings.Cut(e.Name(), "-")
			d, err := lease.ParseDigest("sha256:" + digits)
			if err != nil || keep(d) {
				continue
			}
			age := MinAge
			if kind == "partial" {
				age = StalePartial
			}
			if info, err := e.Info(); err != nil || now.Sub(info.ModTime()) < age {
				continue
			}
			errs = append(errs, s.Delete(d))
		}
	}
	return errors.Join(errs...)
}

// patient is a reader that ends with a context.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
