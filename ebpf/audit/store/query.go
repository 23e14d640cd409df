// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// Who answers whose packets went from a port of this node to a destination.
func (s *Store) Who(ctx context.Context, q audit.Who) (audit.Finding, error) {
	if err := q.Check(); err != nil {
		return audit.Finding{}, fmt.Errorf("asking who: %w", err)
	}
	v, err := s.view()
	if err != nil {
		return audit.Finding{}, err
	}
	in := audit.NewInquiry(q, v.tenures)
	cut := false
	if in.Possible() {
		from, until := q.Window()
		cut, err = v.walk(ctx, 0, from, until, func(p part) error {
			return p.rows(ctx, q.Dst, from, until, func(f ebpf.Flow, at audit.Ref) bool { return in.Take(f, at) })
		})
	}
	if err != nil {
		return audit.Finding{}, fmt.Errorf("asking who: %w", err)
	}
	f := in.Finding()
	f.Since, f.Read, f.Cut = v.since, v.read, f.Cut || cut
	return f, nil
}

// Flows returns a slice's rows, the oldest first.
func (s *Store) Flows(ctx context.Context, q audit.Flows) (audit.Page, error) {
	if err := q.Check(); err != nil {
		return audit.Page{}, fmt.Errorf("asking for flows: %w", err)
	}
	v, err := s.view()
	if err != nil {
		return audit.Page{}, err
	}
	if q.Slice != "" { // only what may be its own is read: anybody can ask for any slice
		v.only(q.Slice)
	}
	return v.page(ctx, q.After, q.From, q.Until, netip.AddrPort{}, func(f ebpf.Flow) (string, bool) { return q.Takes(f, v.tenures) })
}

// Remote returns the rows from slivers to a remote address, the oldest first.
func (s *Store) Remote(ctx context.Context, q audit.Remote) (audit.Page, error) {
	if err := q.Check(); err != nil {
		return audit.Page{}, fmt.Errorf("asking for a remote address: %w", err)
	}
	v, err := s.view()
	if err != nil {
		return audit.Page{}, err
	}
	return v.page(ctx, q.After, q.From, q.Until, q.Dst, func(f ebpf.Flow) (string, bool) { return q.Takes(f, v.tenures) })
}

// Tenures returns all that are kept, by sliver and beginning.
func (s *Store) Tenures() (audit.Tenures, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	return slices.Clone(v.tenures), nil
}

// Since returns when the rows begin that are kept, Unix ns, or 0.
func (s *Store) Since() (int64, error) {
	v, err := s.view()
	if err != nil {
		return 0, err
	}
	return v.since, nil
}

// view is what a question sees: what was durable when it was asked.
type view struct {
	dir     string
	closed  []audit.Segment // whose rows are there; the store's own
	open    []openSegment
	tenures audit.Tenures
	since   int64
	read    int64
}

func (s *Store) view() (*view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	v := &view{dir: s.dir, tenures: s.tenures, closed: s.kept}
	for _, o := range s.open {
		v.open = append(v.open, *o)
	}
	if len(v.closed) > 0 {
		v.since = v.closed[0].From
	} else if len(v.open) > 0 && v.open[0].first <= v.open[0].last {
		v.since = v.open[0].first
	}
	return v, nil
}

// only leaves the segments in whose time a slice was on the node.
func (v *view) only(slice string) {
	own := v.tenures.OfSlice(slice)
	absent := func(first, last int64) bool {
		return !slices.ContainsFunc(own, func(t audit.Tenure) bool { return t.During(first-int64(slack), last+int64(slack)) })
	}
	v.closed = slices.DeleteFunc(slices.Clone(v.closed), func(r audit.Segment) bool { return absent(r.From, r.Until) })
	v.open = slices.DeleteFunc(v.open, func(o openSegment) bool { return absent(o.first, o.last) })
}

// part is one segment of a view.
type part struct {
	v      *view
	number uint64
	open   *openSegment // nil: closed
}

// walk calls do with each segment from a number on that overlaps [from, until],
// the oldest first, and reports whether it ended because enough was read.
func (v *view) walk(ctx context.Context, number uint64, from, until int64, do func(part) error) (cut bool, err error) {
	parts := make([]part, 0, 16)
	for _, r := range v.closed {
		if r.Number >= number && r.Until >= from && r.From <= until && r.Rows > 0 {
			parts = append(parts, part{v, r.Number, nil})
		}
	}
	for i, o := range v.open {
		if o.number >= number && o.last >= from && o.first <= until {
			parts = append(parts, part{v, o.number, &v.open[i]})
		}
	}
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if v.read >= audit.MaxRead {
			return true, nil
		}
		if err := do(p); errors.Is(err, errEnough) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, nil
}

var errEnough = errors.New("enough")

// rows gives those of a segment that may be to or from a remote address, if one is
// given, and overlap a time, until take says that it is enough.
func (p part) rows(ctx context.Context, remote netip.AddrPort, from, until int64, take func(ebpf.Flow, audit.Ref) bool) error {
	if p.open != nil {
		err := p.openRows(ctx, take)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		} // it was closed in the meantime
	}
	c, err := openClosed(closedPath(p.v.dir, p.number), &p.v.read)
	if errors.Is(err, os.ErrNotExist) {
		return nil // retention took it in the meantime
	}
	if err != nil {
		return err
	}
	defer c.close()
	leaf := uint64(0)
	for i, e := range c.entries {
		if !c.may(i, remote, from, until) {
			leaf += uint64(e.rows)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := c.block(i)
		if err != nil {
			return err
		}
		for j, f := range rows {
			if !take(f, audit.Ref{Segment: p.number, Leaf: leaf + uint64(j), Closed: true}) {
				return errEnough
			}
		}
		leaf += uint64(e.rows)
	}
	return nil
}

func (p part) openRows(ctx context.Context, take func(ebpf.Flow, audit.Ref) bool) error {
	_, err := read(p.open.path, magicOpen, p.open.size, &p.v.read, func(record []byte) error {
		if err := ctx.Err(); err != nil || record[0] != recordEpoch {
			return err
		}
		e, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		for _, f := range e.(*ebpf.Epoch).Flows {
			if !take(f, audit.Ref{Segment: p.number}) {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errTorn) {
		return fmt.Errorf("%s ends early: %w", p.open.path, ErrCorrupt)
	}
	return err
}

// page gathers the rows that takes wants, segment by segment, each in the order of
// time, from a cursor on.
func (v *view) page(ctx context.Context, after audit.Cursor, from, until int64, remote netip.AddrPort, takes func(ebpf.Flow) (string, bool)) (audit.Page, error) {
	out := audit.Page{Since: v.since}
	cut, err := v.walk(ctx, after.Segment, from, until, func(p part) error {
		pos := audit.Cursor{Segment: p.number, First: math.MinInt64}
		if p.number == after.Segment && after != (audit.Cursor{}) {
			pos = after
		}
		room := audit.MaxRows - len(out.Rows)
		got, more, err := p.oldest(ctx, pos, room, from, until, remote, takes)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, got...)
		out.Next = pos.Past(got)
		if more {
			out.Cut = true
			return errEnough
		}
		out.Next = audit.Cursor{Segment: p.number + 1, First: math.MinInt64}
		return nil
	})
	if err != nil {
		return audit.Page{}, err
	}
	if out.Cut = out.Cut || cut; !out.Cut {
		out.Next = audit.Cursor{}
	}
	out.Read = v.read
	return out, nil
}

// oldest returns the segment's first rows behind a cursor, at most room, and
// whether there are more. It never holds many more than it returns.
func (p part) oldest(ctx context.Context, after audit.Cursor, room int, from, until int64, remote netip.AddrPort,
	takes func(ebpf.Flow) (string, bool)) (got []audit.Row, more bool, err error) {
	keep := room + after.Seen
	err = p.rows(ctx, remote, from, until, func(f ebpf.Flow, at audit.Ref) bool {
		if f.First < after.First {
			return true
		}
		slice, ok := takes(f)
		if !ok {
			return true
		}
		if got = append(got, audit.Row{Slice: slice, Flow: f, Ref: at}); len(got) >= 2*keep+64 {
			slices.SortFunc(got, audit.Earlier)
			got, more = got[:keep], true
		}
		return true
	})
	if err != nil {
		return nil, false, err
	}
	slices.SortFunc(got, audit.Earlier)
	if len(got) > keep {
		got, more = got[:keep], true
	}
	skip := 0
	for skip < len(got) && skip < after.Seen && got[skip].First == after.First {
		skip++
	}
	return got[skip:], more, nil
}
