// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/rand"
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
	lock *os.File

	turn sync.Mutex // held by who closes, signs and drops; before mu

	mu       sync.Mutex
	log      *audit.Log
	records  []audit.Segment // the log's leaves
	rows     map[uint64]bool // of which of them the rows are there
	head     audit.OpenedHead
	open     []*openSegment // oldest first; the last one is being filled
	file     *appended      // of the last one
	logFile  *appended
	holders  *appended // the file of tenures
	held     int       // records in it
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
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, full(err)
	}
	s := &Store{dir: dir, opt: opt, lock: lock}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, err
	}
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

// has reports whether an epoch is in the store, or was.
func (s *Store) has(e ebpf.Epoch) bool { return e.Number <= s.newest(e.Series) }

// newest is the number of a series' newest epoch, 0 if it has none.
func (s *Store) newest(series uint64) uint64 {
	for _, o := range s.series {
		if o.Series == series {
			return o.Number
		}
	}
	return 0
}

// later returns series with an epoch as the newest of its own.
func later(series []seen, e *ebpf.Epoch) []seen {
	series = slices.DeleteFunc(slices.Clone(series), func(o seen) bool { return o.Series == e.Series })
	series = append(series, seen{Series: e.Series, Number: e.Number})
	return series[max(0, len(series)-maxSeries):]
}

// Append makes an epoch durable, its times in whole milliseconds. One that is
// there already, or in which nothing was seen, needs nothing. It fits
// ebpf.Guard.Drain.
func (s *Store) Append(e ebpf.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if s.has(e) || len(e.Flows) == 0 && e.Identity.IsZero() {
		return nil
	}
	e.Flows = slices.Clone(e.Flows)
	for i, f := range e.Flows {
		e.Flows[i] = audit.Coarse(f)
	}
	if err := s.write(s.file, encodeEpoch(e)); err != nil {
		if errors.Is(err, ErrDiskFull) && s.fullFrom == 0 {
			s.fullFrom = e.At
		}
		return fmt.Errorf("appending epoch %d: %w", e.Number, err)
	}
	last := s.open[len(s.open)-1]
	last.size = s.file.size
	last.note(&e)
	last.alarms = append(last.alarms, audit.AlarmsOf(e, s.newest(e.Series))...)
	s.series = later(s.series, &e)
	effects := s.log.Step(time.Unix(0, e.At), audit.Noted{Rows: uint64(len(e.Flows))})
	if s.fullFrom != 0 {
		s.raise(audit.NewAlarm(audit.AlarmDisk, e, "no disk space since %s: rows waited in the kernel", time.Unix(0, s.fullFrom).UTC().Format(time.RFC3339)))
		s.fullFrom = 0
	}
	for _, effect := range effects {
		if roll, ok := effect.(audit.Roll); ok && !errors.Is(s.failed, ErrPoisoned) {
			s.roll(roll.Number, e.At) // if it fails the open segment goes on, and Turn tries again
		}
	}
	return nil
}

// raise keeps an alarm that no epoch tells, if there is room for it.
func (s *Store) raise(a audit.Alarm) {
	if s.write(s.file, encodeAlarm(a)) != nil {
		return
	}
	last := s.open[len(s.open)-1]
	last.size = s.file.size
	last.alarms = append(last.alarms, a)
	last.span(a.At, a.At)
	s.log.Step(time.Unix(0, a.At), audit.Noted{})
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
	if err := s.write(s.holders, record); err != nil {
		return fmt.Errorf("appending tenure of %s: %w", t.Sliver, err)
	}
	s.held++
	s.tenures = slices.Clone(s.tenures).Put(t) // a running question keeps its own
	return nil
}

// write appends to a file durably. On a full disk it takes from the reserve; when
// a sync fails nothing is known any more.
func (s *Store) write(to *appended, record []byte) error {
	err := to.add(record)
	if errors.Is(err, ErrDiskFull) && s.reserve.give(int64(len(record))) {
		err = to.add(record)
	}
	if errors.Is(err, ErrPoisoned) {
		s.failed = err
	}
	return err
}

// roll begins another open segment, with the state that it takes over.
func (s *Store) roll(number uint64, at int64) error {
	record, err := encodeState(state{Series: s.series})
	if err != nil {
		return err
	}
	path := openPath(s.dir, number)
	b := append([]byte(magicOpen), frame(record)...)
	f, err := whole(s.opt.disk, s.dir, path, b)
	if errors.Is(err, ErrDiskFull) && s.reserve.give(int64(len(b))) {
		f, err = whole(s.opt.disk, s.dir, path, b)
	}
	if err != nil {
		if !errors.Is(err, ErrDiskFull) {
			s.failed = fmt.Errorf("%w: %w", ErrPoisoned, err)
			return s.failed
		}
		return err
	}
	if s.file != nil {
		if err := s.file.file.Close(); err != nil {
			s.failed = fmt.Errorf("%w: %w", ErrPoisoned, errors.Join(err, f.Close()))
			return s.failed
		}
	}
	s.file = &appended{path: path, file: f, size: int64(len(b))}
	s.open = append(slices.Clone(s.open), &openSegment{number: number, path: path, size: s.file.size, first: math.MaxInt64, last: math.MinInt64})
	s.log.Step(time.Unix(0, at), audit.Rolled{Number: number})
	return nil
}

// Alarms returns those that are kept, the newest maxAlarms, oldest first.
func (s *Store) closedAlarms(segment audit.Segment) ([]audit.Alarm, error) {
	var n int64
	c, err := openClosed(closedPath(s.dir, segment.Number), &n)
	if err != nil {
		return nil, err
	}
	defer c.close()
	b, err := c.section(c.book[0], c.book[1], c.bookSum)
	if err != nil {
		return nil, err
	}
	all, err := readBook(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return all.alarms, nil
}

// Alarms returns what is wrong with the record, the newest at the end, at most
// maxAlarms. With its rows a segment's alarms go.
func (s *Store) Alarms() ([]audit.Alarm, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	var all []audit.Alarm // newest first
	for _, o := range slices.Backward(v.open) {
		all = append(all, reversed(o.alarms)...)
	}
	for _, r := range slices.Backward(v.closed) {
		if r.Alarms == 0 || len(all) >= maxAlarms {
			continue
		}
		of, err := s.closedAlarms(r)
		if errors.Is(err, os.ErrNotExist) {
			continue // retention took it in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("reading alarms: %w", err)
		}
		all = append(all, reversed(of)...)
	}
	return reversed(all[:min(len(all), maxAlarms)]), nil
}

func reversed(all []audit.Alarm) []audit.Alarm {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
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
