// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"iter"
	"net/netip"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// Rows yields all rows of a slice, or of every slice, that overlap a term, segment
// by segment: what pages of Flows return, each segment read once. It sees what was
// durable when it began, and reads on as it is ranged over; what retention drops in
// the meantime is left out. After an error nothing follows.
func (s *Store) Rows(ctx context.Context, q audit.Flows) iter.Seq2[audit.Row, error] {
	return func(yield func(audit.Row, error) bool) {
		if err := s.stream(ctx, q, yield); err != nil {
			yield(audit.Row{}, fmt.Errorf("reading rows: %w", err))
		}
	}
}

func (s *Store) stream(ctx context.Context, q audit.Flows, yield func(audit.Row, error) bool) error {
	if err := q.Check(); err != nil {
		return err
	}
	v, err := s.view()
	if err != nil {
		return err
	}
	if q.Slice != "" {
		v.only(q.Slice)
	}
	_, err = v.walk(ctx, 0, q.From, q.Until, func(p part) error {
		defer func() { v.read = 0 }() // it is no question, and not bounded by audit.MaxRead
		return p.rows(ctx, netip.AddrPort{}, q.From, q.Until, func(f ebpf.Flow, at audit.Ref) bool {
			slice, ok := q.Takes(f, v.tenures)
			return !ok || yield(audit.Row{Slice: slice, Flow: f, Ref: at}, nil)
		})
	})
	return err
}
