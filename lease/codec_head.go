// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/binary"
	"fmt"
)

// Major types of RFC 8949 section 3.1, in the place that they have in a head.
const (
	MajorUint     = 0 << 5
	MajorNegative = 1 << 5
	MajorBytes    = 2 << 5
	MajorText     = 3 << 5
	MajorArray    = 4 << 5
	MajorMap      = 5 << 5
)

// AppendHead appends the shortest head of a major type and its argument, as
// [Encode] would: for what is encoded too often for that.
func AppendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// takeHead reads one head, which must be of the major type and in shortest form,
// and returns the rest.
func takeHead(b []byte, major byte) (n uint64, rest []byte, err error) {
	if len(b) == 0 || b[0]&0xe0 != major {
		return 0, nil, ErrSyntax
	}
	info := b[0] & 0x1f
	if info < 24 {
		return uint64(info), b[1:], nil
	}
	if info > 27 {
		return 0, nil, ErrSyntax
	}
	size := 1 << (info - 24)
	if len(b) < 1+size {
		return 0, nil, ErrSyntax
	}
	for _, c := range b[1 : 1+size] {
		n = n<<8 | uint64(c)
	}
	if size == 1 && n < 24 || size > 1 && n>>(4*size) == 0 {
		return 0, nil, ErrNotCanonical
	}
	return n, b[1+size:], nil
}

// takeBytes reads one byte string and returns it, not copied, and the rest.
func takeBytes(b []byte) (s, rest []byte, err error) {
	n, rest, err := takeHead(b, MajorBytes)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("byte string of %d in %d bytes: %w", n, len(rest), ErrSyntax)
	}
	return rest[:n], rest[n:], nil
}
