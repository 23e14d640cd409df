// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// lastBytes is how much of a file that goes on is written again when it is opened:
// more than one call ever appends.
const lastBytes = MaxRecord

// load brings back what is durable, and takes away what a crash left half made.
func (s *Store) load() error {
	s.log = audit.NewLog(audit.LogOptions{Node: s.opt.Node, Span: s.opt.Span, Retention: s.opt.Retention, Budget: s.opt.Budget,
		Rows: uint64(min(audit.MaxSegmentRows, max(1, s.opt.Budget/minSegments/openRow)))})
	s.records, s.kept, s.head = nil, nil, audit.OpenedHead{}
	s.open, s.series, s.tenures, s.held, s.look = nil, nil, nil, 0, manyTenures
	segments, opens, err := s.list()
	if err != nil {
		return err
	}
	began := exists(s.path("log"))
	if err := s.loadLog(); err != nil {
		return err
	}
	if err := s.loadTenures(); err != nil {
		return err
	}
	size := uint64(len(s.records))
	for i, number := range segments {
		info, err := os.Stat(closedPath(s.dir, number))
		if err != nil {
			return err
		}
		switch {
		case number < size:
			s.kept = append(s.kept, s.records[number])
			s.step(time.Unix(0, s.records[number].Until), audit.Held{Segment: s.records[number], Bytes: info.Size()})
		case number > size || i+1 < len(segments):
			return fmt.Errorf("segment %d of a log of %d: %w", number, size, ErrCorrupt)
		}
	}
	opens = slices.DeleteFunc(opens, func(n uint64) bool {
		if n < size {
			err = errors.Join(err, s.opt.disk.remove(openPath(s.dir, n)))
		}
		return n < size
	})
	if err != nil {
		return err
	}
	if len(opens) == 0 {
		if began {
			return fmt.Errorf("no open segment beside a log of %d: %w", size, ErrCorrupt)
		}
		// The log comes last: where there is one, there was an open segment.
		return errors.Join(s.roll(0, 0), s.beginLog())
	}
	return s.loadOpen(opens, size)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// loadOpen reads the segments that are not closed. The newest has all state.
func (s *Store) loadOpen(numbers []uint64, size uint64) error {
	for i, number := range numbers {
		if number != size+uint64(i) {
			return fmt.Errorf("open segment %d where %d belongs: %w", number, size+uint64(i), ErrCorrupt)
		}
		o := &openSegment{number: number, path: openPath(s.dir, number), first: math.MaxInt64, last: math.MinInt64}
		var err error
		if i+1 < len(numbers) {
			o.size, err = s.scan(o)
		} else if s.file, err = resume(s.opt.disk, o.path, magicOpen, lastBytes, s.taker(o)); err == nil {
			o.size = s.file.size
		}
		if errors.Is(err, errTorn) {
			err = fmt.Errorf("%s: %w and not the newest", o.path, ErrCorrupt)
		}
		if err != nil {
			return err
		}
		s.open = append(s.open, o)
	}
	newest := s.open[len(s.open)-1]
	s.step(time.Unix(0, 0), audit.Rolled{Number: newest.number})
	if newest.first <= newest.last {
		s.step(time.Unix(0, newest.first), audit.Noted{Rows: newest.rows})
	}
	if s.logFile == nil {
		return s.beginLog()
	}
	return nil
}

func (s *Store) step(now time.Time, in audit.LogInput) { s.log.Step(now, in) }

func (s *Store) scan(o *openSegment) (int64, error) {
	return read(o.path, magicOpen, math.MaxInt64, nil, s.taker(o))
}

// taker takes the records of an open segment into o, and the state into s.
func (s *Store) taker(o *openSegment) func([]byte) error {
	return func(record []byte) error {
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		switch v := v.(type) {
		case *state:
			s.series = v.Series
		case *ebpf.Epoch:
			o.note(v)
			o.alarms = append(o.alarms, audit.AlarmsOf(*v, s.newest(v.Series))...)
			s.series = later(s.series, v)
		case *audit.Alarm:
			o.alarms = append(o.alarms, *v)
			o.span(v.At, v.At)
		}
		return nil
	}
}

// loadLog reads the log and holds every head in it against its leaves.
func (s *Store) loadLog() error {
	path := s.path("log")
	if !exists(path) {
		return nil
	}
	var err error
	s.logFile, err = resume(s.opt.disk, path, magicLog, lastBytes, func(record []byte) error {
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		var fact audit.Effect
		switch v := v.(type) {
		case *audit.Segment:
			fact = audit.Append{Segment: *v}
			s.records = append(s.records, *v)
		case *audit.OpenedHead:
			fact = audit.Keep{Head: *v}
			s.head = *v
		default:
			return ErrCorrupt
		}
		if err := s.log.Restore(fact); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil
	})
	if err != nil || s.head.Size == 0 {
		return err
	}
	if s.head, err = audit.OpenHead(s.head.Bytes); err != nil {
		return fmt.Errorf("newest head: %w: %w", ErrCorrupt, err)
	}
	return nil
}

func (s *Store) beginLog() error {
	f, err := whole(s.opt.disk, s.dir, s.path("log"), []byte(magicLog))
	if err != nil {
		return err
	}
	s.logFile = &appended{path: s.path("log"), file: f, size: int64(len(magicLog))}
	return nil
}

// loadTenures reads who held which ports.
func (s *Store) loadTenures() error {
	path := s.path("tenures")
	if !exists(path) {
		return s.rewriteTenures()
	}
	var err error
	s.holders, err = resume(s.opt.disk, path, magicTenures, lastBytes, func(record []byte) error {
		v, err := decode(record)
		t, ok := v.(*audit.Tenure)
		if err != nil || !ok {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		s.tenures = s.tenures.Put(*t)
		s.held++
		return nil
	})
	return err
}

// rewriteTenures makes the file anew with the tenures that are still of use.
func (s *Store) rewriteTenures() error {
	b := []byte(magicTenures)
	for _, t := range s.tenures {
		record, err := encodeTenure(t)
		if err != nil {
			return err
		}
		b = append(b, frame(record)...)
	}
	path := s.path("tenures")
	f, err := whole(s.opt.disk, s.dir, path, b)
	if err != nil {
		return err
	}
	if s.holders != nil {
		if err := s.holders.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.holders, s.held = &appended{path: path, file: f, size: int64(len(b))}, len(s.tenures)
	return nil
}

// list returns the numbers of closed and open segments, and removes what a crash
// left of making a file.
func (s *Store) list() (segments, opens []uint64, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, fresh) {
			if err := s.opt.disk.remove(s.path(name)); err != nil {
				return nil, nil, err
			}
			continue
		}
		digits, suffix, _ := strings.Cut(name, ".")
		number, err := strconv.ParseUint(digits, 16, 64)
		if err != nil || len(digits) != 16 || number >= audit.MaxSegments {
			continue
		}
		switch "." + suffix {
		case suffixOpen:
			opens = append(opens, number)
		case suffixClosed:
			segments = append(segments, number)
		}
	}
	slices.Sort(segments)
	slices.Sort(opens)
	return segments, opens, nil
}
