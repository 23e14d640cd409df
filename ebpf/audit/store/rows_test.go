// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"os"
	"testing"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// All rows come, however many: an answer of Flows holds MaxRows.
func TestRowsHaveNoEnd(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i, slice := range []string{"a@x", "b@y"} {
		if err := s.AppendTenure(audit.Tenure{Sliver: slice[:1], Slice: slice, Place: i, First: 1, Last: 2, From: 1}); err != nil {
			t.Fatal(err)
		}
	}
	const epochs, each = 3, audit.MaxRows
	for n := range epochs {
		e := ebpf.Epoch{Series: 1, Number: uint64(n + 1), At: int64(n+1) * 1e9, Identity: ebpf.Identity{Seen: 2 * each, Recorded: 2 * each}}
		for i := range 2 * each {
			e.Flows = append(e.Flows, ebpf.Flow{Sliver: []string{"a", "b"}[i%2], Proto: 17, Packets: uint64(i), First: int64(n) * 1e9, Last: int64(n)*1e9 + int64(i)})
		}
		if err := s.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	count := func(q audit.Flows) (n int) {
		t.Helper()
		for row, err := range s.Rows(t.Context(), q) {
			if err != nil || q.Slice != "" && row.Slice != q.Slice || row.Slice[:1] != row.Sliver {
				t.Fatalf("%+v, %v", row, err)
			}
			n++
		}
		return n
	}
	for q, want := range map[audit.Flows]int{
		{Until: 10e9}:                             2 * epochs * each,
		{Slice: "a@x", Until: 10e9}:               epochs * each,
		{Slice: "a@x", From: 1e9, Until: 2e9 - 1}: each,
		{Slice: "c@z", Until: 10e9}:               0,
	} {
		if got := count(q); got != want {
			t.Errorf("%+v: %d rows, want %d", q, got, want)
		}
	}
	for range s.Rows(t.Context(), audit.Flows{Until: 10e9}) {
		break // who has enough ends it
	}
	var last error
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, last = range s.Rows(ctx, audit.Flows{Until: 10e9}) {
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("who left was told %v", last)
	}
	for _, last = range s.Rows(t.Context(), audit.Flows{From: 2, Until: 1}) {
	}
	if !errors.Is(last, audit.ErrField) {
		t.Errorf("a term that cannot be: %v", last)
	}
	v, err := s.view()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(v.open[0].path, v.open[0].size-9); err != nil {
		t.Fatal(err)
	}
	for _, last = range s.Rows(t.Context(), audit.Flows{Until: 10e9}) {
	}
	if !errors.Is(last, ErrCorrupt) {
		t.Errorf("a cut segment: %v", last)
	}
}
