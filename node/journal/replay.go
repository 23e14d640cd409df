// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replayed is what a file says.
type replayed struct {
	header  header
	records []Record
	frames  uint64 // how many are whole: the number of the next
	end     int64  // where the next frame goes; what lies behind is torn
	last    []byte // the last whole frame, and
	lastAt  int64  // where it begins
}

// replay reads a whole file. What it returns shares b's bytes.
func replay(b []byte) (r replayed, err error) {
	if r.header, err = decodeHeader(b); err != nil {
		return replayed{}, err
	}
	f := framer{salt: r.header.salt}
	r.end = headerSize
	for rest := b[headerSize:]; len(rest) > 0; rest = b[r.end:] {
		frame, ok := f.next(rest, r.frames, r.frames+1)
		if !ok {
			if at, found := f.later(rest, r.frames); found {
				return replayed{}, fmt.Errorf("frame %d at offset %d, with a whole one behind it at %d: %w",
					r.frames, r.end, r.end+int64(at), ErrCorrupt)
			}
			break
		}
		if r.records, err = records(frame[frameHead:], r.records); err != nil {
			return replayed{}, fmt.Errorf("frame %d at offset %d: %w", r.frames, r.end, err)
		}
		r.last, r.lastAt = frame, r.end
		r.end += int64(len(frame))
		r.frames++
	}
	if r.frames < r.header.snapshot {
		return replayed{}, fmt.Errorf("frame %d of %d of the snapshot, at offset %d: %w",
			r.frames, r.header.snapshot, r.end, ErrCorrupt)
	}
	return r, nil
}

// EmptySize is the length in bytes of a journal that holds no record.
const EmptySize = headerSize

// Read returns the records of the journal in the directory path as they are at
// this moment, without opening it: it takes no lock and changes nothing, so the
// last records may not be durable yet. It returns ErrMissing if there is none.
func Read(path string) ([]Record, error) {
	b, err := os.ReadFile(filepath.Join(path, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	r, err := replay(b)
	return r.records, err
}
