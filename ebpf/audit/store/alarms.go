// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"croft/ebpf/audit"
)

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

// closedAlarms returns those of one closed segment.
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

func reversed(all []audit.Alarm) []audit.Alarm {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}
