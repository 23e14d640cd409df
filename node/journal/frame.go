// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A frame is what one fsync makes durable:
//
//	length  4 bytes, little-endian: of the payload
//	crc     4 bytes: CRC32C over salt, number and payload
//	number  8 bytes: 0, 1, 2 … in this file
//	payload records, each a uvarint length and its bytes; never empty
const frameHead = 4 + 4 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A framer numbers and checks the frames of one file.
type framer struct{ salt [16]byte }

func (f framer) sum(numberAndPayload []byte) uint32 {
	return crc32.Update(crc32.Checksum(f.salt[:], castagnoli), castagnoli, numberAndPayload)
}

// seal fills in the head of b, whose payload begins at frameHead.
func (f framer) seal(b []byte, number uint64) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameHead))
	binary.LittleEndian.PutUint64(b[8:], number)
	binary.LittleEndian.PutUint32(b[4:], f.sum(b[8:]))
}

// next returns the frame at the start of b if it is whole and has a number in
// [from, to).
func (f framer) next(b []byte, from, to uint64) (frame []byte, ok bool) {
	if len(b) < frameHead {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	number := binary.LittleEndian.Uint64(b[8:])
	if n == 0 || n > MaxBatch || uint64(len(b)) < frameHead+uint64(n) || number < from || number >= to {
		return nil, false
	}
	frame = b[:frameHead+n]
	return frame, f.sum(frame[8:]) == binary.LittleEndian.Uint32(frame[4:])
}

// later reports where in b, whose frame number want is bad, a later frame
// stands whole.
func (f framer) later(b []byte, want uint64) (at int, found bool) {
	most := want + 1 + uint64(len(b)/(frameHead+1)) // no more frames fit into b
	for at := 1; at+frameHead < len(b); at++ {
		if _, ok := f.next(b[at:], want+1, most); ok {
			return at, true
		}
	}
	return 0, false
}

// addRecord appends r to a payload.
func addRecord(payload []byte, r Record) []byte {
	return append(binary.AppendUvarint(payload, uint64(len(r))), r...)
}

// recordSize is what addRecord adds at most.
func recordSize(r Record) int { return binary.MaxVarintLen32 + len(r) }

// records takes a payload apart. The records share its bytes.
func records(payload []byte, into []Record) ([]Record, error) {
	for len(payload) > 0 {
		n, w := binary.Uvarint(payload)
		if w <= 0 || n > MaxRecord || n > uint64(len(payload)-w) {
			return nil, fmt.Errorf("record %d of a frame has an impossible length: %w", len(into), ErrCorrupt)
		}
		end := w + int(n)
		into = append(into, Record(payload[w:end:end]))
		payload = payload[end:]
	}
	return into, nil
}
