// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A column is a list of numbers, stored by significance: all lowest bytes, then
// all next ones. What is random in a time or a port stays in planes of its own
// and does not spoil the others.
//
//	width │ plane │ plane │ …      plane: length × 4 + mode, bytes
const (
	planeRaw  = 0
	planeSame = 1 // one byte, repeated
	planeZstd = 2
)

var (
	packer = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(1<<20))
		if err != nil {
			panic(err) // constant options
		}
		return e
	})
	unpacker = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxSection), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic(err)
		}
		return d
	})
)

func appendColumn(b []byte, v []uint64) []byte {
	var or uint64
	for _, x := range v {
		or |= x
	}
	width := 0
	for ; or>>(8*width) != 0 && width < 8; width++ {
	}
	b = append(b, byte(width))
	plane := make([]byte, len(v))
	for p := range width {
		for i, x := range v {
			plane[i] = byte(x >> (8 * p))
		}
		b = appendPlane(b, plane)
	}
	return b
}

func appendPlane(b, plane []byte) []byte {
	if !slices.ContainsFunc(plane, func(x byte) bool { return x != plane[0] }) {
		return append(binary.AppendUvarint(b, 1<<2|planeSame), plane[0])
	}
	if z := packer().EncodeAll(plane, nil); len(z) < len(plane) {
		return append(binary.AppendUvarint(b, uint64(len(z))<<2|planeZstd), z...)
	}
	return append(binary.AppendUvarint(b, uint64(len(plane))<<2|planeRaw), plane...)
}

// column reads n numbers.
func (d *decoder) column(n int) []uint64 {
	v := make([]uint64, n)
	width := d.take(1)
	if d.bad || width[0] > 8 {
		d.bad = true
		return v
	}
	for p := range int(width[0]) {
		head := d.uvarint()
		if head>>2 > uint64(len(d.b)) {
			d.bad = true
		}
		plane := d.take(int(min(head>>2, 1<<30)))
		if d.bad {
			return v
		}
		switch head & 3 {
		case planeSame:
			if len(plane) != 1 {
				d.bad = true
				return v
			}
			for i := range v {
				v[i] |= uint64(plane[0]) << (8 * p)
			}
			continue
		case planeZstd:
			if plane = unpack(plane, n); plane == nil {
				d.bad = true
				return v
			}
		}
		if len(plane) != n || head&3 == 3 {
			d.bad = true
			return v
		}
		for i, x := range plane {
			v[i] |= uint64(x) << (8 * p)
		}
	}
	return v
}

// unpack returns what was packed, of at most limit bytes, or nil.
func unpack(z []byte, limit int) []byte {
	var head zstd.Header
	if err := head.Decode(z); err != nil || !head.HasFCS || head.FrameContentSize > uint64(limit) {
		return nil
	}
	b, err := unpacker().DecodeAll(z, make([]byte, 0, head.FrameContentSize))
	if err != nil {
		return nil
	}
	return b
}
