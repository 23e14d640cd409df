// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"net/netip"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

// A closed segment:
//
//	magic │ block │ block │ … │ book │ index │ foot
//	block   rows in columns, blockRows of them, sorted by remote address, port, time
//	book    what proofs need: the secret, alarms, epochs, tenures; packed
//	index   the leaf of the log, words, and of each block its size, checksum, first
//	        remote address and port, and span of time; packed
//	foot    sizes and checksums of book and index, of a fixed size
//
// A question reads the end of the file, which says which blocks to read, and
// these; a proof reads all of it.
const (
	magicClosed = "croft audit 2\n"
	footSize    = 4*5 + 8
	footMagic   = "end2"
)

// content is all that a segment holds, in the order of its tree's leaves: rows,
// alarms, epochs, tenures.
type content struct {
	secret  audit.Secret
	rows    []ebpf.Flow // as sortRows leaves them
	alarms  []audit.Alarm
	epochs  []audit.EpochLeaf
	tenures audit.Tenures
}

// tree hashes all leaves.
func (c *content) tree() *audit.Tree {
	t := new(audit.Tree)
	var buf, leaf []byte
	add := func(leaf []byte) {
		var h lease.Digest
		h, buf = audit.HashLeaf(buf, c.secret.Salt(t.Size()), leaf)
		t.Append(h)
	}
	for _, f := range c.rows {
		leaf = audit.AppendRow(leaf[:0], f)
		add(leaf)
	}
	for _, leaf := range c.rest() {
		add(leaf)
	}
	return t
}

// rest returns the leaves behind the rows.
func (c *content) rest() [][]byte {
	var all [][]byte
	for _, a := range c.alarms {
		all = append(all, a.Bytes())
	}
	for _, e := range c.epochs {
		all = append(all, e.Bytes())
	}
	for _, t := range c.tenures {
		all = append(all, t.LeafBytes())
	}
	return all
}

// segment returns the leaf of the log.
func (c *content) segment(number uint64, root lease.Digest) audit.Segment {
	s := audit.Segment{Number: number, From: math.MaxInt64, Until: math.MinInt64, Rows: uint64(len(c.rows)), Alarms: uint64(len(c.alarms)),
		Leaves: uint64(len(c.rows) + len(c.alarms) + len(c.epochs) + len(c.tenures)), Root: root}
	span := func(first, last int64) { s.From, s.Until = min(s.From, first), max(s.Until, last) }
	for _, f := range c.rows {
		span(f.First, f.Last)
	}
	for _, a := range c.alarms {
		span(a.At, a.At)
	}
	for _, e := range c.epochs {
		span(e.At, e.At)
	}
	return s
}

// entry is what the index says of a block.
type entry struct {
	offset, size int64
	sum          uint32
	rows         int
	remote       netip.AddrPort // of the first row
	first, last  int64          // Unix ms: no row begins before, none ends after
}

// encode writes the file of a segment.
func (c *content) encode(s audit.Segment) []byte {
	n := numbering{end: map[end]uint64{}, shape: map[shape]uint64{}}
	for i, f := range c.rows {
		if ms := f.First / millisecond; i == 0 || ms < n.base {
			n.base = ms
		}
	}
	b := []byte(magicClosed)
	var entries []entry
	for from := 0; from < len(c.rows); from += blockRows {
		rows := c.rows[from:min(from+blockRows, len(c.rows))]
		e := entry{offset: int64(len(b)), rows: len(rows), remote: audit.RemoteOf(rows[0]), first: math.MaxInt64}
		for _, f := range rows {
			e.first, e.last = min(e.first, f.First/millisecond), max(e.last, f.Last/millisecond)
		}
		b = n.appendBlock(b, rows)
		e.size = int64(len(b)) - e.offset
		e.sum = crc32.Checksum(b[e.offset:], castagnoli)
		entries = append(entries, e)
	}
	book := packer().EncodeAll(c.book(), nil)
	index := packer().EncodeAll(n.index(s, entries), nil)
	b = append(append(b, book...), index...)
	foot := make([]byte, footSize)
	binary.LittleEndian.PutUint32(foot, uint32(len(book)))
	binary.LittleEndian.PutUint32(foot[4:], crc32.Checksum(book, castagnoli))
	binary.LittleEndian.PutUint32(foot[8:], uint32(len(index)))
	binary.LittleEndian.PutUint32(foot[12:], crc32.Checksum(index, castagnoli))
	copy(foot[20:], footMagic)
	binary.LittleEndian.PutUint32(foot[24:], uint32(len(c.rows)))
	binary.LittleEndian.PutUint32(foot[16:], footSum(foot))
	return append(b, foot...)
}

// footSum is the checksum of a foot without the field that holds it.
func footSum(foot []byte) uint32 {
	return crc32.Update(crc32.Checksum(foot[:16], castagnoli), castagnoli, foot[20:])
}

func (c *content) book() []byte {
	b := append([]byte(nil), c.secret[:]...)
	for _, n := range []int{len(c.alarms), len(c.epochs), len(c.tenures)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, leaf := range c.rest() {
		b = append(binary.AppendUvarint(b, uint64(len(leaf))), leaf...)
	}
	return b
}

// readBook reads all but the rows, or ErrSyntax.
func readBook(b []byte) (*content, error) {
	d := decoder{b: b}
	c := new(content)
	copy(c.secret[:], d.take(len(c.secret)))
	var n [3]int
	for i := range n {
		n[i] = d.count(1)
	}
	var leaves audit.Leaves
	for range n[0] + n[1] + n[2] {
		leaf := d.take(d.count(1))
		if d.bad {
			return nil, ErrSyntax
		}
		if err := leaves.Read(leaf); err != nil {
			return nil, syntax(err)
		}
	}
	if d.bad || len(d.b) > 0 || len(leaves.Alarms) != n[0] || len(leaves.Epochs) != n[1] || len(leaves.Tenures) != n[2] {
		return nil, ErrSyntax
	}
	c.alarms, c.epochs, c.tenures = leaves.Alarms, leaves.Epochs, leaves.Tenures
	return c, nil
}

func (n *numbering) index(s audit.Segment, entries []entry) []byte {
	leaf := s.Bytes()
	b := append(binary.AppendUvarint(nil, uint64(len(leaf))), leaf...)
	b = binary.AppendVarint(b, n.base)
	b = binary.AppendUvarint(b, uint64(len(n.ends)))
	for _, e := range n.ends {
		b = append(binary.AppendUvarint(b, uint64(len(e.sliver))), e.sliver...)
		b = binary.AppendUvarint(b, uint64(e.place))
		b = appendAddr(b, e.addr)
	}
	b = binary.AppendUvarint(b, uint64(len(n.shapes)))
	for _, s := range n.shapes {
		b = append(b, byte(s.direction), s.proto, s.flags)
	}
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(e.size))
		b = binary.LittleEndian.AppendUint32(b, e.sum)
		b = binary.AppendUvarint(b, uint64(e.rows))
		b = appendAddr(b, e.remote.Addr())
		b = binary.LittleEndian.AppendUint16(b, e.remote.Port())
		b = binary.AppendVarint(b, e.first-n.base)
		b = binary.AppendVarint(b, e.last-n.base)
	}
	return b
}

func appendAddr(b []byte, a netip.Addr) []byte {
	s := a.AsSlice()
	return append(append(b, byte(len(s))), s...)
}

func (d *decoder) addr() netip.Addr {
	n := d.take(1)
	if d.bad || n[0] != 0 && n[0] != 4 && n[0] != 16 {
		d.bad = true
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(d.take(int(n[0])))
	return a
}

// readIndex reads what index wrote, or ErrSyntax.
func readIndex(b []byte) (s audit.Segment, w *words, entries []entry, err error) {
	d := decoder{b: b}
	if s, err = audit.ParseSegment(d.take(d.count(1))); err != nil {
		return s, nil, nil, syntax(err)
	}
	w = &words{base: d.varint(), ends: make([]end, d.count(3))}
	for i := range w.ends {
		w.ends[i] = end{string(d.take(d.count(1))), int(min(d.uvarint(), 1<<31-1)), d.addr()}
	}
	w.shapes = make([]shape, d.count(3))
	for i := range w.shapes {
		if k := d.take(3); k != nil {
			w.shapes[i] = shape{ebpf.Direction(k[0]), k[1], k[2]}
		}
	}
	entries = make([]entry, d.count(10))
	at := int64(len(magicClosed))
	for i := range entries {
		e := &entries[i]
		e.offset, e.size = at, int64(min(d.uvarint(), 1<<30))
		at += e.size
		if sum := d.take(4); sum != nil {
			e.sum = binary.LittleEndian.Uint32(sum)
		}
		e.rows = int(min(d.uvarint(), blockRows+1))
		addr := d.addr()
		if port := d.take(2); port != nil {
			e.remote = netip.AddrPortFrom(addr, binary.LittleEndian.Uint16(port))
		}
		e.first, e.last = w.base+d.varint(), w.base+d.varint()
	}
	if d.bad || len(d.b) > 0 {
		return s, nil, nil, ErrSyntax
	}
	return s, w, entries, nil
}
