// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"iter"

	"croft/ebpf/audit"
)

// Rows yields all rows of a slice, or of every slice, that overlap a term, in
// the order in which they were recorded: what Flows returns, without an end. It
// sees what was durable when it began, and reads on as it is ranged over; what
// retention drops in the meantime is left out. After an error nothing follows.
func (s *Store) Rows(ctx context.Context, q audit.Flows) iter.Seq2[audit.Row, error] {
	return func(yield func(audit.Row, error) bool) {
		fail := func(err error) { yield(audit.Row{}, fmt.Errorf("reading rows: %w", err)) }
		if err := q.Check(); err != nil {
			fail(err)
			return
		}
		view, err := s.view()
		if err != nil {
			fail(err)
			return
		}
		from, until := q.From, q.Until
		if q.Slice != "" {
			first, last, ok := view.tenures.Span(q.Slice)
			if !ok {
				return
			}
			from = max(from, first-int64(slack))
			until = min(until, max(last, last+int64(slack)))
		}
		for row := range view.rows(ctx, from, until) {
			if row.Last < q.From || row.First > q.Until {
				continue
			}
			t, _ := view.tenures.Of(row.Sliver, row.First)
			if q.Slice != "" && t.Slice != q.Slice {
				continue
			}
			if !yield(audit.Row{Slice: t.Slice, Flow: row}, nil) {
				return
			}
		}
		if view.err != nil {
			fail(view.err)
		}
	}
}
