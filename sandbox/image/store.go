// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
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

	summing sync.Mutex // held while sums are made anew

	mu      sync.Mutex
	sizes   map[string]int64 // path below dir of everything kept, to its bytes
	used    int64            // their sum, with arriving blobs at their full size
	partial map[lease.Digest]*arrival
	private map[lease.Digest]bool // not for other nodes
	changed map[lease.Digest]chan struct{}
}

// Open makes or opens a store of at most quota bytes, blobs and roots together.
func Open(dir string, quota int64) (*Store, error) {
	s := &Store{dir: dir, quota: quota, make: make(chan struct{}, 1), sizes: map[string]int64{}, partial: map[lease.Digest]*arrival{},
		private: map[lease.Digest]bool{}, changed: map[lease.Digest]chan struct{}{}}
	for _, sub := range []string{"blobs", "partial", "roots", "sums", "private"} {
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
		if info, err := e.Info(); err == nil && !strings.Contains(e.Name(), "-") {
			s.keep("partial/"+e.Name(), info.Size())
		}
	}
	return s.loadPrivate()
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
	if a := s.partial[d]; a != nil && a.busy {
		return fmt.Errorf("deleting blob %s: %w", d, sandbox.ErrBusy)
	}
	errs := []error{s.discard(d), ignoreMissing(os.Remove(s.path("blobs", d))), ignoreMissing(os.Remove(s.path("sums", d))),
		ignoreMissing(os.Remove(s.path("sums", d) + "-new"))}
	s.drop("blobs/" + name(d))
	for path := range s.sizes { // the order of removal shows nowhere
		if strings.HasPrefix(path, "roots/"+name(d)) {
			s.drop(path)
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, path)))
		}
	}
	if s.private[d] && errors.Join(errs...) == nil { // the mark last, when the blob cannot come back without it
		if err := syncDir(filepath.Join(s.dir, "blobs")); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, s.unmark(d))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("deleting blob %s: %w", d, err)
	}
	return nil
}

// GC deletes every blob that keep does not want and its roots, once they are
// [MinAge] old, and arriving blobs that nobody has touched for [StalePartial].
// What belongs to either goes with it.
func (s *Store) GC(keep func(lease.Digest) bool, now time.Time) error {
	var errs []error
	for _, kind := range []string{"blobs", "roots", "partial", "sums", "private"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, kind))
		errs = append(errs, err)
		for _, e := range entries {
			digits, _, _ := strings.Cut(e.Name(), "-")
			d, err := lease.ParseDigest("sha256:" + digits)
			if err != nil || keep(d) {
				continue
			}
			touched, arriving, err := s.touched(d, e)
			age := MinAge
			if kind == "partial" || kind == "private" || arriving {
				age = StalePartial
			}
			if err != nil || now.Sub(touched) < age {
				continue
			}
			errs = append(errs, s.Delete(d))
		}
	}
	return errors.Join(errs...)
}

// touched is when an entry of a blob, or the blob itself, was last written, and whether
// the blob is arriving: what belongs to it may be older, and goes only with it.
func (s *Store) touched(d lease.Digest, e fs.DirEntry) (at time.Time, arriving bool, err error) {
	info, err := e.Info()
	if err != nil {
		return at, false, err
	}
	at = info.ModTime()
	for _, kind := range []string{"blobs", "partial"} {
		info, err := os.Stat(s.path(kind, d))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return at, false, err
		}
		arriving = kind == "partial"
		if info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at, arriving, nil
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
