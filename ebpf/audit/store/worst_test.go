// SPDX-License-Identifier: Apache-2.0

package store

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"testing"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// The dearest question is about a destination to which everything went, in the widest
// window: no index helps. It is bounded by the rows of an answer, by what segments of
// that window hold, and by MaxRead; and says that it was cut.
func TestWorstQuestion(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{disk: lazy{}})
	must(t, s.AppendTenure(tenure))
	dst := netip.MustParseAddrPort("198.51.100.9:443")
	const segments, rows = 4, audit.MaxRows/2 + 1
	at := int64(0)
	for i := range uint64(segments) {
		e := ebpf.Epoch{Series: 1, Number: i + 1, At: 1000*second + int64(i)*400*second}
		for port := range rows {
			e.Flows = append(e.Flows, ebpf.Flow{Sliver: "sa", Proto: 6, Src: netip.AddrPortFrom(sliver.Addr(), uint16(20_000+port)), Dst: dst, Packets: 1, First: e.At, Last: e.At})
		}
		must(t, s.Append(e))
		at = e.At
		turn(t, s, 1400+400*int64(i))
	}
	var disk int64
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if info, e := d.Info(); err == nil && e == nil && !d.IsDir() {
			disk += info.Size()
		}
		return err
	}))
	q := audit.Who{Src: netip.MustParseAddrPort("203.0.113.1:0"), Dst: dst, At: at, Within: int64(audit.MaxWithin)}
	f, err := s.Who(t.Context(), q)
	must(t, err)
	got := 0
	for _, a := range f.Answers {
		got += len(a.Rows)
	}
	if got != audit.MaxRows || !f.Cut || f.Read > disk {
		t.Errorf("%d rows, cut %t, %d bytes read of %d", got, f.Cut, f.Read, disk)
	}

	// What was read counts, found or not: beyond MaxRead no further segment is opened.
	v, err := s.view()
	must(t, err)
	from, until := q.Window()
	opened := 0
	cut, err := v.walk(t.Context(), 0, from, until, func(p part) error {
		opened++
		v.read += audit.MaxRead / 2
		return nil
	})
	if must(t, err); !cut || opened != 2 {
		t.Errorf("%d segments opened, cut %t", opened, cut)
	}
}
