// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// close brings a complete segment into its closed form.
func (s *Store) close(number uint64) (audit.LogInput, error) {
	s.mu.Lock()
	o, tenures := s.open[0], s.tenures
	s.mu.Unlock()
	if o.number != number {
		return nil, fmt.Errorf("segment %d where %d belongs: %w", number, o.number, ErrCorrupt)
	}
	c, err := s.complete(o, tenures)
	if err != nil {
		return nil, err
	}
	tree := c.tree()
	root, err := tree.Root(tree.Size())
	if err != nil {
		return nil, err
	}
	r := c.segment(number, root)
	b := c.encode(r)
	path := closedPath(s.dir, number)
	f, err := whole(s.opt.disk, s.dir, path, b)
	if errors.Is(err, ErrDiskFull) {
		s.mu.Lock()
		given := s.reserve.give(int64(len(b)))
		s.mu.Unlock()
		if given {
			f, err = whole(s.opt.disk, s.dir, path, b)
		}
	}
	if err != nil {
		return nil, err
	}
	return audit.Written{Segment: r, Bytes: int64(len(b))}, f.Close()
}

// complete reads all that is in an open segment, and puts it in order.
func (s *Store) complete(o *openSegment, tenures audit.Tenures) (*content, error) {
	c := &content{rows: make([]ebpf.Flow, 0, o.rows)}
	if _, err := io.ReadFull(s.opt.random, c.secret[:]); err != nil {
		return nil, err
	}
	var series []seen
	newest := func(of uint64) uint64 {
		for _, o := range series {
			if o.Series == of {
				return o.Number
			}
		}
		return 0
	}
	_, err := read(o.path, magicOpen, o.size, nil, func(record []byte) error {
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		switch v := v.(type) {
		case *state:
			series = v.Series
		case *ebpf.Epoch:
			c.rows = append(c.rows, v.Flows...)
			c.epochs = append(c.epochs, audit.EpochOf(*v))
			c.alarms = append(c.alarms, audit.AlarmsOf(*v, newest(v.Series))...)
			series = later(series, v)
		case *audit.Alarm:
			c.alarms = append(c.alarms, *v)
		}
		return nil
	})
	if errors.Is(err, errTorn) {
		err = fmt.Errorf("%s ends early: %w", o.path, ErrCorrupt)
	}
	if err != nil {
		return nil, err
	}
	sortRows(c.rows)
	for _, t := range tenures {
		if t.During(o.first-int64(slack), o.last+int64(slack)) {
			c.tenures = append(c.tenures, t)
		}
	}
	return c, nil
}
