// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// Who answers whose packets went from a port of this node to a destination.
func (s *Store) Who(ctx context.Context, q audit.Who) (audit.Finding, error) {
	if err := q.Check(); err != nil {
		return audit.Finding{}, fmt.Errorf("asking who: %w", err)
	}
	from, until := q.Window()
	view, err := s.view()
	if err != nil {
		return audit.Finding{}, err
	}
	f := audit.Join(q, view.tenures, view.rows(ctx, from, until))
	if view.err != nil {
		return audit.Finding{}, fmt.Errorf("asking who: %w", view.err)
	}
	f.Since = view.since
	return f, nil
}

// Flows returns a slice's rows, in the order in which they were recorded.
func (s *Store) Flows(ctx context.Context, q audit.Flows) (audit.Page, error) {
	if err := q.Check(); err != nil {
		return audit.Page{}, fmt.Errorf("asking for flows: %w", err)
	}
	view, err := s.view()
	if err != nil {
		return audit.Page{}, err
	}
	from, until := q.From, q.Until
	if q.Slice != "" { // only what may be its own is read: anybody can ask for any slice
		first, last, ok := view.tenures.Span(q.Slice)
		if !ok {
			return audit.Page{Since: view.since}, nil
		}
		from = max(from, first-int64(slack))
		until = min(until, max(last, last+int64(slack)))
	}
	p := audit.Select(q, view.tenures, view.rows(ctx, from, until))
	if view.err != nil {
		return audit.Page{}, fmt.Errorf("asking for flows: %w", view.err)
	}
	p.Since = view.since
	return p, nil
}

// Tenures returns all that are kept, by sliver and beginning.
func (s *Store) Tenures() (audit.Tenures, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	return append(audit.Tenures(nil), v.tenures...), nil
}

// view is what a question sees: what was durable when it was asked.
type view struct {
	segments []segment
	tenures  audit.Tenures
	since    int64
	err      error // what ended rows
}

func (s *Store) view() (*view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	v := &view{tenures: s.tenures}
	for _, seg := range s.segments {
		v.segments = append(v.segments, *seg)
		if v.since == 0 && seg.first <= seg.last {
			v.since = seg.first
		}
	}
	return v, nil
}

// rows returns those of segments that overlap [from, until].
func (v *view) rows(ctx context.Context, from, until int64) iter.Seq[ebpf.Flow] {
	enough := errors.New("enough")
	return func(yield func(ebpf.Flow) bool) {
		for _, seg := range v.segments {
			if seg.last < from || seg.first > until || seg.first > seg.last {
				continue
			}
			_, err := read(seg.path, seg.size, func(record []byte) error {
				if err := ctx.Err(); err != nil || record[0] != recordEpoch {
					return err
				}
				e, err := decode(record)
				if err != nil {
					return fmt.Errorf("%w: %w", ErrCorrupt, err)
				}
				for _, row := range e.(*ebpf.Epoch).Flows {
					if !yield(row) {
						return enough
					}
				}
				return nil
			})
			switch {
			case errors.Is(err, enough):
				return
			case errors.Is(err, os.ErrNotExist):
				continue // retention took it in the meantime
			case errors.Is(err, errTorn):
				v.err = fmt.Errorf("%s ends early: %w", seg.path, ErrCorrupt)
				return
			case err != nil:
				v.err = err
				return
			}
		}
	}
}
