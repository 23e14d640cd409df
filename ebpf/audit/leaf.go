// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"croft/ebpf"
	"croft/lease"
)

// LeafKind says what a leaf of a segment's tree is. The numbers are hashed and
// never change meaning.
type LeafKind uint8

const (
	LeafRow LeafKind = iota + 1
	LeafEpoch
	LeafTenure
	LeafAlarm
)

// Salt is hashed before a leaf, so that its hash, which proofs of other leaves
// show, does not give away what it says.
type Salt [16]byte

// Secret is what a segment's salts are made from. It never leaves the node.
type Secret [32]byte

// Salt returns that of one leaf: the first half of SHA-256(secret ‖ index), the
// index in eight bytes, most significant first. To show it shows no other.
func (s Secret) Salt(index uint64) Salt {
	var b [40]byte
	copy(b[:], s[:])
	binary.BigEndian.PutUint64(b[32:], index)
	h := sha256.Sum256(b[:])
	return Salt(h[:16])
}

// EpochLeaf is the account of one epoch, whose rows are leaves beside it.
type EpochLeaf struct {
	_          struct{} `cbor:",toarray"`
	K          LeafKind
	Series     uint64
	Number     uint64
	At         int64 // Unix ns of the drain
	Rows       uint64
	Seen       uint64
	Recorded   uint64
	Unrecorded uint64
	NoSliver   uint64
	Dropped    []uint64 // packets by reason, to the last that is not 0
}

// EpochOf returns the account of e.
func EpochOf(e ebpf.Epoch) EpochLeaf {
	l := EpochLeaf{K: LeafEpoch, Series: e.Series, Number: e.Number, At: e.At, Rows: uint64(len(e.Flows)), Seen: e.Identity.Seen,
		Recorded: e.Identity.Recorded, Unrecorded: e.Identity.Unrecorded, NoSliver: e.Identity.NoSliver, Dropped: []uint64{}}
	for reason, n := range e.Identity.Dropped {
		if n > 0 {
			l.Dropped = append(l.Dropped, make([]uint64, reason+1-len(l.Dropped))...)
			l.Dropped[reason] = n
		}
	}
	return l
}

func (l EpochLeaf) String() string {
	return fmt.Sprintf("epoch series=%d number=%d at=%s rows=%d seen=%d recorded=%d unrecorded=%d no-sliver=%d dropped=%v",
		l.Series, l.Number, instant(l.At), l.Rows, l.Seen, l.Recorded, l.Unrecorded, l.NoSliver, l.Dropped)
}

type rowLeaf struct {
	_              struct{} `cbor:",toarray"`
	K              LeafKind
	Sliver         string
	Place          uint32
	Direction      uint8
	Proto          uint8
	Src            []byte
	SrcPort        uint16
	Dst            []byte
	DstPort        uint16
	Packets, Bytes uint64
	First, Last    int64
	Flags          uint8
}

type tenureLeaf struct {
	_ struct{} `cbor:",toarray"`
	K LeafKind
	T Tenure
}

// millisecond is the resolution of the times of rows.
const millisecond = 1e6

// Coarse returns f as it is kept: its times are widened to whole milliseconds,
// finer than anybody's clock tells them, and a third of what a row takes.
func Coarse(f ebpf.Flow) ebpf.Flow {
	f.First -= ((f.First % millisecond) + millisecond) % millisecond
	if r := ((f.Last % millisecond) + millisecond) % millisecond; r != 0 {
		f.Last += millisecond - r
	}
	f.Last = max(f.Last, f.First)
	return f
}

// AppendRow appends a row's leaf to b: what lease.Encode would make of it, a
// hundred thousand times a second.
func AppendRow(b []byte, f ebpf.Flow) []byte {
	b = append(b, lease.MajorArray|14, byte(LeafRow))
	b = append(lease.AppendHead(b, lease.MajorText, uint64(len(f.Sliver))), f.Sliver...)
	b = lease.AppendHead(b, lease.MajorUint, uint64(f.Place))
	b = lease.AppendHead(b, lease.MajorUint, uint64(f.Direction))
	b = lease.AppendHead(b, lease.MajorUint, uint64(f.Proto))
	for _, end := range [2]netip.AddrPort{f.Src, f.Dst} {
		switch a := end.Addr(); {
		case a.Is4():
			four := a.As4()
			b = append(append(b, lease.MajorBytes|4), four[:]...)
		case a.IsValid():
			sixteen := a.As16()
			b = append(append(b, lease.MajorBytes|16), sixteen[:]...)
		default:
			b = append(b, lease.MajorBytes)
		}
		b = lease.AppendHead(b, lease.MajorUint, uint64(end.Port()))
	}
	b = lease.AppendHead(b, lease.MajorUint, f.Packets)
	b = lease.AppendHead(b, lease.MajorUint, f.Bytes)
	b = appendInt(b, f.First)
	b = appendInt(b, f.Last)
	return lease.AppendHead(b, lease.MajorUint, uint64(f.TCPFlags))
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return lease.AppendHead(b, lease.MajorNegative, uint64(^n))
	}
	return lease.AppendHead(b, lease.MajorUint, uint64(n))
}

// Bytes returns the leaf of an epoch's account.
func (l EpochLeaf) Bytes() []byte { return encoded(l) }

// LeafBytes returns the leaf of a tenure.
func (t Tenure) LeafBytes() []byte { return encoded(tenureLeaf{K: LeafTenure, T: t}) }

func encoded(v any) []byte {
	b, err := lease.Encode(v)
	if err != nil {
		panic(err) // structs of numbers, strings and bytes always encode
	}
	return b
}

// Leaves are leaves that were read, by what they are.
type Leaves struct {
	Rows    []ebpf.Flow
	Epochs  []EpochLeaf
	Tenures Tenures
	Alarms  []Alarm
}

// Read adds one leaf. It returns what lease.Decode does, and ErrField.
func (l *Leaves) Read(b []byte) error {
	if len(b) < 2 {
		return fmt.Errorf("leaf of %d bytes: %w", len(b), lease.ErrSyntax)
	}
	var err error
	switch kind := LeafKind(b[1]); kind { // behind the head of a list of at most 23
	case LeafRow:
		var r rowLeaf
		if err = lease.Decode(b, &r, MaxLeaf); err == nil {
			var f ebpf.Flow
			f, err = r.flow()
			l.Rows = append(l.Rows, f)
		}
	case LeafEpoch:
		var e EpochLeaf
		if err = lease.Decode(b, &e, MaxLeaf); err == nil {
			err = e.check()
			l.Epochs = append(l.Epochs, e)
		}
	case LeafTenure:
		var t tenureLeaf
		if err = lease.Decode(b, &t, MaxLeaf); err == nil {
			err = t.T.Check()
			l.Tenures = append(l.Tenures, t.T)
		}
	case LeafAlarm:
		var a Alarm
		if err = lease.Decode(b, &a, MaxLeaf); err == nil {
			err = a.Check()
			l.Alarms = append(l.Alarms, a)
		}
	default:
		err = fmt.Errorf("leaf of kind %d: %w", kind, lease.ErrKind)
	}
	return err
}

func (r rowLeaf) flow() (ebpf.Flow, error) {
	src, ok1 := netip.AddrFromSlice(r.Src)
	dst, ok2 := netip.AddrFromSlice(r.Dst)
	if r.Sliver == "" || len(r.Sliver) > maxSliver || r.Place >= 1<<31 || r.Direction > uint8(ebpf.Ingress) || r.Src == nil || r.Dst == nil ||
		len(r.Src) != len(r.Dst) || len(r.Src) > 0 && !(ok1 && ok2) || r.Last < r.First {
		return ebpf.Flow{}, fmt.Errorf("row %+v: %w", r, ErrField)
	}
	return ebpf.Flow{Place: int(r.Place), Sliver: r.Sliver, Direction: ebpf.Direction(r.Direction), Proto: r.Proto,
		Src: netip.AddrPortFrom(src, r.SrcPort), Dst: netip.AddrPortFrom(dst, r.DstPort),
		Packets: r.Packets, Bytes: r.Bytes, First: r.First, Last: r.Last, TCPFlags: r.Flags}, nil
}

func (l EpochLeaf) check() error {
	n := len(l.Dropped)
	if l.Dropped == nil || n > maxReasons || n > 0 && l.Dropped[n-1] == 0 || l.At <= 0 {
		return fmt.Errorf("%s: %w", l, ErrField)
	}
	return nil
}
