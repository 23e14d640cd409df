// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// header stands at the start of the file, which comes to be whole by a rename:
// a short or damaged one is never the work of a crash.
type header struct {
	generation uint64   // one more at each snapshot
	snapshot   uint64   // how many of the first frames are the snapshot
	salt       [16]byte // secret: seeds the frames' checksums
}

const (
	magic      = "croftjnl"
	version    = 1
	headerSize = 8 + 4 + 4 + 8 + 8 + 16
)

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint64(b[16:], h.generation)
	binary.LittleEndian.PutUint64(b[24:], h.snapshot)
	copy(b[32:], h.salt[:])
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))
	return b
}

func decodeHeader(b []byte) (h header, err error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return h, fmt.Errorf("no header at offset 0: %w", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v == 0 || v > version {
		return h, fmt.Errorf("version %d, this program reads up to %d: %w", v, version, ErrVersion)
	}
	if binary.LittleEndian.Uint32(b[12:]) != headerSum(b) {
		return h, fmt.Errorf("checksum of the header at offset 12: %w", ErrCorrupt)
	}
	h.generation = binary.LittleEndian.Uint64(b[16:])
	h.snapshot = binary.LittleEndian.Uint64(b[24:])
	copy(h.salt[:], b[32:])
	return h, nil
}

// headerSum covers the header but for the checksum's own four bytes.
func headerSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:headerSize])
}
