// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// An end is the sliver's side of a row without the port; a shape is what else a
// row has few kinds of. A closed segment lists the ones that it has.
type end struct {
	sliver string
	place  int
	addr   netip.Addr
}

type shape struct {
	direction    ebpf.Direction
	proto, flags uint8
}

// words are the ends and shapes of a segment, by number.
type words struct {
	base   int64 // Unix ms before all rows
	ends   []end
	shapes []shape
}

func local(f ebpf.Flow) netip.AddrPort {
	if f.Direction == ebpf.Egress {
		return f.Src
	}
	return f.Dst
}

func endOf(f ebpf.Flow) end { return end{f.Sliver, f.Place, local(f).Addr()} }

func shapeOf(f ebpf.Flow) shape { return shape{f.Direction, f.Proto, f.TCPFlags} }

// sortRows puts rows in the order of a closed segment: by remote address, port
// and beginning, then by all else, so that there is one order.
func sortRows(rows []ebpf.Flow) {
	type keyed struct {
		key uint64 // of the address's family and first bits; then, in IPv4, port and time
		at  int32
	}
	order := make([]keyed, len(rows))
	for i, f := range rows {
		order[i] = keyed{sortKey(audit.RemoteOf(f)), int32(i)}
	}
	slices.SortFunc(order, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return compareRows(&rows[a.at], &rows[b.at])
	})
	sorted := make([]ebpf.Flow, len(rows))
	for i, k := range order {
		sorted[i] = rows[k.at]
	}
	copy(rows, sorted)
}

// sortKey is a number that is not greater where an end sorts before another.
func sortKey(a netip.AddrPort) uint64 {
	switch addr := a.Addr(); {
	case addr.Is4():
		four := addr.As4()
		return 1<<62 | uint64(binary.BigEndian.Uint32(four[:]))<<16 | uint64(a.Port())
	case addr.IsValid():
		sixteen := addr.As16()
		return 2<<62 | binary.BigEndian.Uint64(sixteen[:])>>2
	}
	return uint64(a.Port())
}

func compareRows(a, b *ebpf.Flow) int {
	if c := compareEnds(audit.RemoteOf(*a), audit.RemoteOf(*b)); c != 0 {
		return c
	}
	la, lb := local(*a), local(*b)
	return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Sliver, b.Sliver), cmp.Compare(a.Place, b.Place),
		la.Compare(lb), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Proto, b.Proto),
		cmp.Compare(a.Packets, b.Packets), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.TCPFlags, b.TCPFlags))
}

// compareEnds orders by family, address and port.
func compareEnds(a, b netip.AddrPort) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
}

// number adds a row's words to w and returns them by number.
type numbering struct {
	words
	end   map[end]uint64
	shape map[shape]uint64
}

func (n *numbering) of(f ebpf.Flow) (e, s uint64) {
	e, ok := n.end[endOf(f)]
	if !ok {
		e = uint64(len(n.ends))
		n.end[endOf(f)], n.ends = e, append(n.ends, endOf(f))
	}
	s, ok = n.shape[shapeOf(f)]
	if !ok {
		s = uint64(len(n.shapes))
		n.shape[shapeOf(f)], n.shapes = s, append(n.shapes, shapeOf(f))
	}
	return e, s
}

// appendBlock writes rows that are sorted. Of the remote addresses there is one
// run each, and the numbers that are sorted are written as differences.
func (n *numbering) appendBlock(b []byte, rows []ebpf.Flow) []byte {
	var family, high, low, run []uint64
	cols := make([][]uint64, 8)
	for i := range cols {
		cols[i] = make([]uint64, len(rows))
	}
	var last netip.AddrPort
	var lastHigh, lastLow uint64
	for i, f := range rows {
		remote := audit.RemoteOf(f)
		port := uint64(remote.Port())
		if i > 0 && remote.Addr() == last.Addr() {
			run[len(run)-1]++
			port -= uint64(last.Port())
		} else {
			fam, h, l := split(remote.Addr())
			k := len(family)
			if k == 0 || family[k-1] != fam {
				lastHigh, lastLow = 0, 0
			}
			family, run, high = append(family, fam), append(run, 0), append(high, h-lastHigh)
			if h == lastHigh {
				low = append(low, l-lastLow)
			} else {
				low = append(low, l)
			}
			lastHigh, lastLow = h, l
		}
		last = remote
		e, s := n.of(f)
		first := f.First/millisecond - n.base
		for c, v := range [8]uint64{port, e, s, uint64(local(f).Port()), f.Packets, f.Bytes, uint64(first), uint64(f.Last/millisecond - f.First/millisecond)} {
			cols[c][i] = v
		}
	}
	b = binary.AppendUvarint(b, uint64(len(rows)))
	b = binary.AppendUvarint(b, uint64(len(run)))
	for _, c := range append([][]uint64{family, high, low, run}, cols...) {
		b = appendColumn(b, c)
	}
	return b
}

const millisecond = 1e6

// split returns an address as numbers that sort as it does within its family.
func split(a netip.Addr) (family, high, low uint64) {
	switch {
	case a.Is4():
		four := a.As4()
		return 1, 0, uint64(binary.BigEndian.Uint32(four[:]))
	case a.IsValid():
		sixteen := a.As16()
		return 2, binary.BigEndian.Uint64(sixteen[:]), binary.BigEndian.Uint64(sixteen[8:])
	}
	return 0, 0, 0
}

func join(family, high, low uint64) (netip.Addr, bool) {
	switch {
	case family == 1 && high == 0 && low>>32 == 0:
		return netip.AddrFrom4([4]byte{byte(low >> 24), byte(low >> 16), byte(low >> 8), byte(low)}), true
	case family == 2:
		var sixteen [16]byte
		binary.BigEndian.PutUint64(sixteen[:], high)
		binary.BigEndian.PutUint64(sixteen[8:], low)
		return netip.AddrFrom16(sixteen), true
	}
	return netip.Addr{}, family == 0
}

// readBlock reads what appendBlock wrote, or ErrSyntax.
func (w *words) readBlock(b []byte) ([]ebpf.Flow, error) {
	d := decoder{b: b}
	n, k := d.uvarint(), d.uvarint()
	if n > blockRows || k > n || n > 0 && k == 0 {
		return nil, ErrSyntax
	}
	var of, cols [8][]uint64
	for i := range 4 {
		of[i] = d.column(int(k))
	}
	for i := range cols {
		cols[i] = d.column(int(n))
	}
	if d.bad || len(d.b) > 0 {
		return nil, ErrSyntax
	}
	rows := make([]ebpf.Flow, 0, n)
	var high, low uint64
	for r := range of[0] {
		if r == 0 || of[0][r] != of[0][r-1] {
			high, low = 0, 0
		}
		if of[1][r] == 0 {
			low += of[2][r]
		} else {
			high, low = high+of[1][r], of[2][r]
		}
		addr, ok := join(of[0][r], high, low)
		if !ok || of[3][r] >= n-uint64(len(rows)) {
			return nil, ErrSyntax
		}
		port := uint64(0)
		for range of[3][r] + 1 {
			i := len(rows)
			port += cols[0][i]
			f, ok := w.row(netip.AddrPortFrom(addr, uint16(port)), cols, i)
			if !ok || port >= 1<<16 {
				return nil, ErrSyntax
			}
			rows = append(rows, f)
		}
	}
	if uint64(len(rows)) != n {
		return nil, ErrSyntax
	}
	return rows, nil
}

func (w *words) row(remote netip.AddrPort, cols [8][]uint64, i int) (f ebpf.Flow, ok bool) {
	e, s, port, first, length := cols[1][i], cols[2][i], cols[3][i], cols[6][i], cols[7][i]
	if e >= uint64(len(w.ends)) || s >= uint64(len(w.shapes)) || port >= 1<<16 || first > 1<<50 || length > 1<<50 {
		return f, false
	}
	from, kind := w.ends[e], w.shapes[s]
	f = ebpf.Flow{Place: from.place, Sliver: from.sliver, Direction: kind.direction, Proto: kind.proto, TCPFlags: kind.flags,
		Src: netip.AddrPortFrom(from.addr, uint16(port)), Dst: remote, Packets: cols[4][i], Bytes: cols[5][i]}
	if f.Direction != ebpf.Egress {
		f.Src, f.Dst = f.Dst, f.Src
	}
	f.First = (w.base + int64(first)) * millisecond
	f.Last = f.First + int64(length)*millisecond
	return f, true
}
