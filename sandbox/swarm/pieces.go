// SPDX-License-Identifier: Apache-2.0

package swarm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"croft/lease"
)

// PieceSize is how many bytes a piece of a blob of size bytes has; the last may be
// shorter.
func PieceSize(size int64) int64 {
	p := int64(MinPiece)
	for p <= (size-1)/MaxPieces { // not p × MaxPieces: any size ends
		p *= 2
	}
	return p
}

// Count is the number of pieces of a blob of size bytes.
func Count(size int64) int {
	if size <= 0 {
		return 0
	}
	return int((size-1)/PieceSize(size)) + 1
}

// Span is where piece i of a blob of size bytes begins, and its length.
func Span(size int64, i int) (offset, length int64) {
	p := PieceSize(size)
	offset = int64(i) * p
	return offset, min(p, size-offset)
}

// Sums are the SHA-256 of each piece of a blob, one after another.
type Sums []byte

// Sum cuts a blob of size bytes and sums its pieces. It returns the digest of the
// whole as well.
func Sum(r io.Reader, size int64) (Sums, lease.Digest, error) {
	whole := sha256.New()
	var sums Sums
	for i := range Count(size) {
		_, length := Span(size, i)
		piece := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(whole, piece), r, length); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, lease.Digest{}, fmt.Errorf("summing piece %d: %w", i, err)
		}
		sums = piece.Sum(sums)
	}
	return sums, lease.Digest(whole.Sum(nil)), nil
}

// Check reports sums that cannot be those of a blob of size bytes, as [ErrSums].
func (s Sums) Check(size int64) error {
	if len(s) != Count(size)*sha256.Size {
		return fmt.Errorf("%d bytes of sums for %d pieces: %w", len(s), Count(size), ErrSums)
	}
	return nil
}

// Holds reports whether these are the bytes of piece i.
func (s Sums) Holds(i int, piece []byte) bool {
	return i >= 0 && (i+1)*sha256.Size <= len(s) && sha256.Sum256(piece) == [sha256.Size]byte(s[i*sha256.Size:])
}

// Set is some of the pieces of a blob: bit i%8 of byte i/8, the lowest first.
type Set []byte

// NewSet is an empty set of n pieces.
func NewSet(n int) Set { return make(Set, (n+7)/8) }

// All is every piece of a blob of size bytes.
func All(size int64) Set {
	s := NewSet(Count(size))
	for i := range Count(size) {
		s.Add(i)
	}
	return s
}

// Has reports whether piece i is in the set.
func (s Set) Has(i int) bool { return i >= 0 && i/8 < len(s) && s[i/8]&(1<<(i%8)) != 0 }

// Add puts piece i in.
func (s Set) Add(i int) { s[i/8] |= 1 << (i % 8) }

// Len is the number of pieces in the set.
func (s Set) Len() int {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// Fits reports whether it can be a set of n pieces.
func (s Set) Fits(n int) bool {
	return len(s) == (n+7)/8 && (n%8 == 0 || s[len(s)-1]>>(n%8) == 0)
}
