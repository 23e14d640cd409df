// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// Options bound a store; a zero is the default.
type Options struct {
	Budget    int64         // bytes of all segments
	Retention time.Duration // of rows
	Span      time.Duration // of one segment

	create func(path string) (file, error) // a test gives a failing disk
}

// Store is the audit records of one node.
type Store struct {
	dir  string
	opt  Options
	lock *os.File

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is being written
	file     file       // of the last one
	begun    int64      // when it was begun, by the first record's time
	series   []seen
	tenures  audit.Tenures
	failed   error // ErrPoisoned with its cause, or ErrClosed
}

// file is what a store writes to.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Open opens or makes the store in dir, cutting a torn tail.
func Open(dir string, opt Options) (_ *Store, err error) {
	if opt.Budget == 0 {
		opt.Budget = DefaultBudget
	}
	if opt.Retention == 0 {
		opt.Retention = DefaultRetention
	}
	if opt.Span == 0 {
		opt.Span = DefaultSpan
	}
	if opt.create == nil {
		opt.create = func(path string) (file, error) {
			return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		}
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening audit store %s: %w", dir, err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, full(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, full(err)
	}
	s := &Store{dir: dir, opt: opt, lock: lock}
	defer func() {
		if err != nil {
			lock.Close()
			if s.file != nil {
				s.file.Close()
			}
		}
	}()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, err
	}
	if s.segments, err = list(dir); err != nil {
		return nil, err
	}
	return s, s.load()
}

// load reads the newest segment, which has all state, and the spans of others.
func (s *Store) load() error {
	if len(s.segments) == 0 {
		return s.begin(0)
	}
	newest := len(s.segments) - 1
	for i, seg := range s.segments {
		if sealed, err := seg.readSeal(); err != nil {
			return err
		} else if sealed && i < newest {
			continue
		}
		good, err := s.scan(seg, i == newest)
		if errors.Is(err, errTorn) && i < newest {
			err = fmt.Errorf("%s: %w and not the newest", seg.path, ErrCorrupt)
		}
		if err != nil && !errors.Is(err, errTorn) {
			return err
		}
		seg.size = good
	}
	last := s.segments[newest]
	if last.sealed { // the crash came before its successor
		return s.begin(last.last)
	}
	f, err := os.OpenFile(last.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s.file = f
	if err := f.Truncate(last.size); err != nil {
		return err
	}
	s.begun = last.last
	return f.Sync()
}

// scan reads a whole segment for its span and, with state, for the state.
func (s *Store) scan(seg *segment, withState bool) (int64, error) {
	return read(seg.path, math.MaxInt64, func(record []byte) error {
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		switch v := v.(type) {
		case *state:
			if withState {
				s.series = v.Series
			}
		case *audit.Tenure:
			if withState {
				s.tenures = s.tenures.Put(*v)
			}
		case *ebpf.Epoch:
			if withState {
				s.note(*v)
			}
			seg.spanOf(v.Flows)
		}
		return nil
	})
}

func (s *segment) spanOf(rows []ebpf.Flow) {
	for _, f := range rows {
		s.span(f.First, f.Last)
	}
}

// note remembers an epoch as the newest of its series.
func (s *Store) note(e ebpf.Epoch) {
	s.series = slices.DeleteFunc(s.series, func(o seen) bool { return o.Series == e.Series })
	s.series = append(s.series, seen{Series: e.Series, Number: e.Number})
	s.series = s.series[max(0, len(s.series)-maxSeries):]
}

// has reports whether an epoch is in the store, or was.
func (s *Store) has(e ebpf.Epoch) bool {
	return slices.ContainsFunc(s.series, func(o seen) bool { return o.Series == e.Series && e.Number <= o.Number })
}

// Append makes an epoch durable. One that is there already, or in which nothing
// was seen, needs nothing. It fits ebpf.Guard.Drain.
func (s *Store) Append(e ebpf.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if s.has(e) || len(e.Flows) == 0 && e.Identity.IsZero() {
		return nil
	}
	if err := s.write(encodeEpoch(e), e.At); err != nil {
		return fmt.Errorf("appending epoch %d: %w", e.Number, err)
	}
	s.note(e)
	s.segments[len(s.segments)-1].spanOf(e.Flows)
	return nil
}

// AppendTenure makes a tenure durable. Its end is appended as the same sliver
// and beginning with Until.
func (s *Store) AppendTenure(t audit.Tenure) error {
	if err := t.Check(); err != nil {
		return fmt.Errorf("appending tenure: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if len(s.tenures) >= audit.MaxTenures {
		return fmt.Errorf("appending tenure: %d are kept: %w", len(s.tenures), ErrDiskFull)
	}
	record, err := encodeTenure(t)
	if err != nil {
		return fmt.Errorf("appending tenure: %w", err)
	}
	if err := s.write(record, max(t.From, t.Until)); err != nil {
		return fmt.Errorf("appending tenure of %s: %w", t.Sliver, err)
	}
	s.tenures = slices.Clone(s.tenures).Put(t) // a running question keeps its own
	return nil
}

// write appends one record at the time now, durably. When the disk is full it
// undoes what it wrote; when that or a sync fails nothing is known any more.
func (s *Store) write(record []byte, now int64) error {
	if err := s.roll(now, int64(len(record))+frameHead); err != nil {
		return err
	}
	last := s.segments[len(s.segments)-1]
	b := frame(record)
	if _, err := s.file.WriteAt(b, last.size); err != nil {
		if undo := s.file.Truncate(last.size); undo != nil {
			return s.poison(errors.Join(err, undo))
		}
		if err = full(err); !errors.Is(err, ErrDiskFull) {
			return s.poison(err)
		}
		return err
	}
	if err := s.file.Sync(); err != nil {
		return s.poison(err)
	}
	last.size += int64(len(b))
	if s.begun == 0 {
		s.begun = now
	}
	return nil
}

func (s *Store) poison(err error) error {
	s.failed = fmt.Errorf("%w: %w", ErrPoisoned, err)
	return s.failed
}

// full gives the errors of a full disk one name.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// roll begins another segment when the last is old or large, and drops what is
// over age and budget once more bytes are in.
func (s *Store) roll(now, more int64) error {
	last := s.segments[len(s.segments)-1]
	large := last.size > int64(len(magic)) && last.size+more > s.opt.Budget/minSegments && last.first <= last.last
	old := s.begun != 0 && now-s.begun >= int64(s.opt.Span) && last.first <= last.last
	if large || old {
		if _, err := s.file.WriteAt(last.seal(), last.size); err != nil {
			if undo := s.file.Truncate(last.size); undo != nil {
				return s.poison(errors.Join(err, undo))
			}
			return full(err)
		}
		if err := s.file.Sync(); err != nil {
			return s.poison(err)
		}
		if err := s.begin(now); err != nil {
			// Without a successor this one goes on.
			if undo := errors.Join(s.file.Truncate(last.size), s.file.Sync()); undo != nil || !errors.Is(err, ErrDiskFull) {
				return s.poison(errors.Join(err, undo))
			}
			return err
		}
		last.sealed = true
	}
	return s.drop(now, more)
}

// begin makes the next segment with all state in it, under another name until
// it is durable.
func (s *Store) begin(now int64) error {
	number := uint64(1)
	if n := len(s.segments); n > 0 {
		number = s.segments[n-1].number + 1
	}
	s.tenures = s.tenures.EndedBefore(now - int64(s.opt.Retention))
	head, err := encodeState(state{Series: s.series})
	if err != nil {
		return err
	}
	b := append([]byte(magic), frame(head)...)
	for _, t := range s.tenures {
		record, err := encodeTenure(t)
		if err != nil {
			return err
		}
		b = append(b, frame(record)...)
	}
	seg := &segment{number: number, path: segmentPath(s.dir, number), size: int64(len(b)), first: math.MaxInt64}
	f, err := s.create(seg.path, b)
	if err != nil {
		return full(err)
	}
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.file, s.segments, s.begun = f, append(slices.Clone(s.segments), seg), 0
	return nil
}

// create makes a file that is there whole or not at all.
func (s *Store) create(path string, b []byte) (_ file, err error) {
	f, err := s.opt.create(path + ".new")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.Remove(path + ".new")
			f.Close()
		}
	}()
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return f, syncDir(s.dir)
}

// drop removes sealed segments, oldest first, that are over age or budget.
func (s *Store) drop(now, more int64) error {
	total := more
	for _, seg := range s.segments {
		total += seg.size
	}
	for len(s.segments) > 1 {
		oldest := s.segments[0]
		if total <= s.opt.Budget && now-oldest.last <= int64(s.opt.Retention) {
			return nil
		}
		if err := os.Remove(oldest.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		total -= oldest.size
		s.segments = slices.Clone(s.segments[1:])
	}
	return nil
}

// Close ends the store's use. What was appended is durable already.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.failed, ErrClosed) {
		return nil
	}
	s.failed = ErrClosed
	return errors.Join(s.file.Close(), s.lock.Close())
}
