// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
)

// Snapshot replaces the whole journal by records, atomically: after a crash
// either the old or the new one is there. The records must say all that those
// appended so far said; appends that come meanwhile wait and follow it.
// It returns ErrFull, with the old journal in force, if there is no room for
// both, and ErrPoisoned if it is unclear which of the two is durable.
func (j *Journal) Snapshot(records []Record) error {
	for _, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("record of %d bytes, limit %d: %w", len(r), MaxRecord, ErrTooBig)
		}
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	if err := j.replace(records); err != nil {
		return fmt.Errorf("snapshot of %d records: %w", len(records), err)
	}
	return nil
}

// replace makes a file of the next generation and puts it in place.
func (j *Journal) replace(records []Record) error {
	h := header{generation: j.generation + 1, salt: newSalt()}
	frames := pack(records)
	h.snapshot = uint64(len(frames))

	f, end, err := j.writeNew(h, frames)
	if err != nil {
		err = errors.Join(err, j.disk.Remove(tmpName))
		if noRoom(err) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
		return err
	}
	if err := j.disk.Rename(tmpName, FileName); err != nil {
		return errors.Join(j.poisoned(err), f.Close())
	}
	if err := j.disk.Sync(); err != nil {
		return errors.Join(j.poisoned(err), f.Close())
	}
	if j.file != nil {
		j.file.Close() // the old file is gone; nothing in it matters any more
	}
	j.file, j.framer, j.generation = f, framer{salt: h.salt}, h.generation
	j.frames, j.end = h.snapshot, end
	return nil
}

// writeNew writes header and frames to the temporary file and syncs it.
func (j *Journal) writeNew(h header, frames [][]byte) (f File, end int64, err error) {
	if f, err = j.disk.Create(tmpName); err != nil {
		return nil, 0, err
	}
	fr := framer{salt: h.salt}
	for i := -1; i < len(frames); i++ {
		b := h.encode()
		if i >= 0 {
			b = frames[i]
			fr.seal(b, uint64(i))
		}
		n, err := f.WriteAt(b, end)
		if err := short(n, len(b), err); err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		end += int64(n)
	}
	if err := f.Sync(); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, end, nil
}

// pack lays records into as few frames as MaxBatch allows, heads left empty.
func pack(records []Record) (frames [][]byte) {
	var b []byte
	for _, r := range records {
		if b != nil && len(b)+recordSize(r) > frameHead+MaxBatch {
			frames = append(frames, b)
			b = nil
		}
		if b == nil {
			b = make([]byte, frameHead, frameHead+recordSize(r))
		}
		b = addRecord(b, r)
	}
	if b != nil {
		frames = append(frames, b)
	}
	return frames
}
