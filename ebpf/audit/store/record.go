// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/lease"
)

// The first byte of a record. The numbers are on disk.
const (
	recordState   = 1
	recordEpoch   = 2
	recordTenure  = 3
	recordAlarm   = 4
	recordSegment = 5
	recordHead    = 6
)

// state is what an open segment takes over from those before it, its first
// record.
type state struct {
	Series []seen `cbor:"0,keyasint"` // oldest first
}

// seen is the newest epoch of a series that the store has.
type seen struct {
	_      struct{} `cbor:",toarray"`
	Series uint64
	Number uint64
}

func encodeState(s state) ([]byte, error) {
	b, err := lease.Encode(s)
	return append([]byte{recordState}, b...), err
}

func encodeTenure(t audit.Tenure) ([]byte, error) {
	b, err := lease.Encode(t)
	return append([]byte{recordTenure}, b...), err
}

func encodeAlarm(a audit.Alarm) []byte     { return append([]byte{recordAlarm}, a.Bytes()...) }
func encodeSegment(s audit.Segment) []byte { return append([]byte{recordSegment}, s.Bytes()...) }
func encodeHead(h []byte) []byte           { return append([]byte{recordHead}, h...) }

// encodeEpoch writes numbers as varints, names once, and times as differences.
func encodeEpoch(e ebpf.Epoch) []byte {
	b := []byte{recordEpoch}
	b = binary.LittleEndian.AppendUint64(b, e.Series)
	b = binary.AppendUvarint(b, e.Number)
	b = binary.AppendVarint(b, e.At)
	b = binary.AppendUvarint(b, e.Identity.Seen)
	b = binary.AppendUvarint(b, e.Identity.Recorded)
	b = binary.AppendUvarint(b, e.Identity.Unrecorded)
	b = binary.AppendUvarint(b, e.Identity.NoSliver)
	b = binary.AppendUvarint(b, uint64(ebpf.NumReasons))
	for _, n := range e.Identity.Dropped {
		b = binary.AppendUvarint(b, n)
	}

	type who struct {
		sliver string
		place  int
	}
	index := map[who]uint64{}
	var names []who
	for _, f := range e.Flows {
		if k := (who{f.Sliver, f.Place}); len(names) == 0 || names[len(names)-1] != k {
			if _, ok := index[k]; !ok {
				index[k] = uint64(len(names))
				names = append(names, k)
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, n := range names {
		b = binary.AppendUvarint(b, uint64(len(n.sliver)))
		b = append(b, n.sliver...)
		b = binary.AppendUvarint(b, uint64(n.place))
	}
	b = binary.AppendUvarint(b, uint64(len(e.Flows)))
	for _, f := range e.Flows {
		b = binary.AppendUvarint(b, index[who{f.Sliver, f.Place}])
		b = append(b, byte(f.Direction), f.Proto, f.TCPFlags, family(f.Src))
		b = append(b, f.Src.Addr().AsSlice()...)
		b = append(b, f.Dst.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, f.Src.Port())
		b = binary.BigEndian.AppendUint16(b, f.Dst.Port())
		b = binary.AppendUvarint(b, f.Packets)
		b = binary.AppendUvarint(b, f.Bytes)
		b = binary.AppendVarint(b, e.At-f.First)
		b = binary.AppendVarint(b, f.Last-f.First)
	}
	return b
}

// family is the length of the addresses that follow: none, 4 or 16 bytes.
func family(a netip.AddrPort) byte { return byte(a.Addr().BitLen() / 8) }

// decode reads any record: *state, *ebpf.Epoch, *audit.Tenure, *audit.Alarm,
// *audit.Segment or, not verified, *audit.OpenedHead.
func decode(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("empty: %w", ErrSyntax)
	}
	switch kind, body := b[0], b[1:]; kind {
	case recordState:
		s := new(state)
		return s, syntax(lease.Decode(body, s, maxSeries*32))
	case recordTenure:
		t := new(audit.Tenure)
		if err := lease.Decode(body, t, audit.MaxTenure); err != nil {
			return nil, syntax(err)
		}
		return t, syntax(t.Check())
	case recordEpoch:
		d := decoder{b: body}
		e := d.epoch()
		if d.bad || len(d.b) > 0 {
			return nil, fmt.Errorf("epoch of %d bytes: %w", len(b), ErrSyntax)
		}
		return e, nil
	case recordAlarm:
		a := new(audit.Alarm)
		if err := lease.Decode(body, a, audit.MaxLeaf); err != nil {
			return nil, syntax(err)
		}
		return a, syntax(a.Check())
	case recordSegment:
		s, err := audit.ParseSegment(body)
		return &s, syntax(err)
	case recordHead:
		signed, err := lease.ParseSigned(body, audit.MaxHead)
		h := &audit.OpenedHead{ID: signed.IDAs(audit.HeadDomain), Bytes: body}
		if err == nil {
			err = lease.Decode(signed.Payload, &h.Head, audit.MaxHead)
		}
		return h, syntax(err)
	default:
		return nil, fmt.Errorf("kind %d: %w", kind, ErrSyntax)
	}
}

func syntax(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrSyntax, err)
}

// decoder reads an epoch; after the first fault it reads zeros and is bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) epoch() *ebpf.Epoch {
	e := &ebpf.Epoch{Series: d.fixed64(), Number: d.uvarint(), At: d.varint()}
	e.Identity = ebpf.Identity{Seen: d.uvarint(), Recorded: d.uvarint(), Unrecorded: d.uvarint(), NoSliver: d.uvarint()}
	reasons := d.count(1)
	if reasons > ebpf.NumReasons { // of a later version, whose account could not be checked
		d.bad = true
	}
	for r := 0; r < reasons && !d.bad; r++ {
		e.Identity.Dropped[r] = d.uvarint()
	}
	names := make([]ebpf.Flow, d.count(2))
	for i := range names {
		names[i].Sliver = string(d.take(d.count(1)))
		names[i].Place = int(min(d.uvarint(), 1<<31))
	}
	const shortest = 13 // of a row: each of its numbers in one byte
	e.Flows = make([]ebpf.Flow, d.count(shortest))
	for i := range e.Flows {
		if n := d.uvarint(); n < uint64(len(names)) {
			e.Flows[i] = names[n]
		} else {
			d.bad = true
		}
		if d.bad {
			break
		}
		d.row(&e.Flows[i], e.At)
	}
	return e
}

func (d *decoder) row(f *ebpf.Flow, at int64) {
	head := d.take(4)
	if d.bad {
		return
	}
	f.Direction, f.Proto, f.TCPFlags = ebpf.Direction(head[0]), head[1], head[2]
	n := int(head[3])
	if n != 0 && n != 4 && n != 16 {
		d.bad = true
	}
	src, dst, ports := d.take(n), d.take(n), d.take(4)
	if d.bad {
		return
	}
	a, _ := netip.AddrFromSlice(src) // of no bytes: none
	b, _ := netip.AddrFromSlice(dst)
	f.Src = netip.AddrPortFrom(a, binary.BigEndian.Uint16(ports))
	f.Dst = netip.AddrPortFrom(b, binary.BigEndian.Uint16(ports[2:]))
	f.Packets, f.Bytes = d.uvarint(), d.uvarint()
	f.First = at - d.varint()
	f.Last = f.First + d.varint()
}

// count reads a number of things of at least size bytes each: no more than can
// follow, so that a lie allocates nothing.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) fixed64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}
