// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
)

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
