// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

// Options bound a store; a zero is the default.
type Options struct {
	Node      lease.Principal // whose record it is
	Budget    int64           // bytes of everything that is kept
	Retention time.Duration   // of rows
	Span      time.Duration   // of one segment
	Reserve   int64           // bytes set aside on the disk; negative: none

	disk   disk      // a test gives a failing one
	random io.Reader // of secrets
}

// Store is the audit record of one node.
type Store struct {
	dir  string
	opt  Options
	lock *flock.Flock

	turn sync.Mutex // held by who closes, signs and drops; before mu

	mu       sync.Mutex
	log      *audit.Log
	records  []audit.Segment // the log's leaves
	kept     []audit.Segment // those of them whose rows are there; never changed in place
	head     audit.OpenedHead
	open     []*openSegment // oldest first; the last one is being filled
	file     *appended      // of the last one
	logFile  *appended
	holders  *appended // the file of tenures
	held     int       // records in it
	look     int       // at how many it is worth tidying
	series   []seen
	tenures  audit.Tenures
	reserve  *reserve
	fullFrom int64 // Unix ns since when the disk is full; 0: it is not
	early    int64 // Unix ns of the last alarm that rows went before their time
	failed   error // ErrPoisoned with its cause, or ErrClosed
}

// openSegment is one that is not closed. Its times span what is in it; without
// anything first is above last.
type openSegment struct {
	number      uint64
	path        string
	size        int64 // of what is durable
	rows        uint64
	first, last int64
	alarms      []audit.Alarm
}

func (s *openSegment) span(first, last int64) {
	s.first, s.last = min(s.first, first), max(s.last, last)
}

func (s *openSegment) note(e *ebpf.Epoch) {
	s.span(e.At, e.At)
	for _, f := range e.Flows {
		s.span(f.First, f.Last)
	}
	s.rows += uint64(len(e.Flows))
}

// Open opens or makes the store in dir, cutting torn tails.
func Open(dir string, opt Options) (_ *Store, err error) {
	set := func(v *int64, to int64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&opt.Budget, DefaultBudget)
	set((*int64)(&opt.Retention), int64(DefaultRetention))
	set((*int64)(&opt.Span), int64(DefaultSpan))
	set(&opt.Reserve, min(DefaultReserve, opt.Budget/minSegments))
	if opt.disk == nil {
		opt.disk = realDisk{}
	}
	if opt.random == nil {
		opt.random = rand.Reader
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening audit store %s: %w", dir, err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, full(err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = lock.TryLockContext(ctx, retry)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, full(err)
	}
	s := &Store{dir: dir, opt: opt, lock: lock}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	s.reserve = openReserve(filepath.Join(dir, "reserve"), opt.Reserve)
	return s, s.load()
}

// reopen brings the store back to what is durable, after its disk failed.
func (s *Store) reopen() error {
	s.closeFiles() // what they say was said before
	if err := s.load(); err != nil {
		return fmt.Errorf("opening it again: %w: %w", s.failed, err)
	}
	s.failed = nil
	return nil
}

// closeFiles closes what is appended to.
func (s *Store) closeFiles() error {
	var err error
	for _, a := range []*appended{s.file, s.logFile, s.holders} {
		if a != nil {
			err = errors.Join(err, a.file.Close())
		}
	}
	s.file, s.logFile, s.holders = nil, nil, nil
	return err
}

func (s *Store) release() error { return errors.Join(s.closeFiles(), s.lock.Close()) }

// Close ends the store's use. What was appended is durable already.
func (s *Store) Close() error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.failed, ErrClosed) {
		return nil
	}
	s.failed = ErrClosed
	return s.release()
}

func openPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffixOpen))
}

func closedPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffixClosed))
}

const (
	suffixOpen   = ".open"
	suffixClosed = ".seg"
	fresh        = ".new" // what is being made
)
