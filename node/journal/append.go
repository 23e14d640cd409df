// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
)

// batch is one frame in the making, shared by the callers that came while the
// one before it was being written.
type batch struct {
	frame   []byte // with room for the head
	closing bool   // every call in it is a closing one
	done    bool   // guarded by Journal.writing, as is
	err     error
}

// Append makes records durable, in order, all or none, and returns then. It
// returns ErrFull if there is no room (nothing is changed, and none is taken
// from the ballast), ErrTooBig, ErrClosed, or ErrPoisoned: then it is unclear
// whether the records will be there after reopening.
func (j *Journal) Append(records ...Record) error { return j.append(records, false) }

// AppendClosing is Append for records that end what earlier ones began. On a
// full disk it spends the ballast.
func (j *Journal) AppendClosing(records ...Record) error { return j.append(records, true) }

func (j *Journal) append(records []Record, closing bool) error {
	if len(records) == 0 {
		return nil
	}
	size := 0
	for _, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("record of %d bytes, limit %d: %w", len(r), MaxRecord, ErrTooBig)
		}
		size += recordSize(r)
	}
	if size > MaxBatch {
		return fmt.Errorf("%d bytes at once, limit %d: %w", size, MaxBatch, ErrTooBig)
	}

	b := j.join(records, size, closing)

	// Whoever comes first writes for all; the others find their batch done.
	j.writing.Lock()
	defer j.writing.Unlock()
	if !b.done {
		j.seal(b)
		b.err, b.done = j.write(b), true
		b.frame = nil
	}
	return b.err
}

// join adds the records to the batch that is collecting, or begins one. Closing
// calls have batches of their own: they must not fail with the others.
func (j *Journal) join(records []Record, size int, closing bool) *batch {
	j.pending.Lock()
	defer j.pending.Unlock()
	b := j.next
	if b == nil || b.closing != closing || len(b.frame)+size > frameHead+MaxBatch {
		b = &batch{frame: make([]byte, frameHead, frameHead+size), closing: closing}
		j.next = b
	}
	for _, r := range records {
		b.frame = addRecord(b.frame, r)
	}
	return b
}

// seal lets nobody join b any more.
func (j *Journal) seal(b *batch) {
	j.pending.Lock()
	defer j.pending.Unlock()
	if j.next == b {
		j.next = nil
	}
}

// write is called with writing held.
func (j *Journal) write(b *batch) error {
	if err := j.usable(); err != nil {
		return err
	}
	if !b.closing {
		// Room that the ballast gave up is for closing alone: nobody else
		// writes until it is whole again.
		if err := j.ballast.fill(); err != nil {
			return err
		}
	}
	j.framer.seal(b.frame, j.frames)
	for {
		err := j.put(b.frame)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrFull) || !b.closing || !j.ballast.spend(len(b.frame)) {
			return err
		}
	}
}

// put writes one frame at the end and waits until it is durable.
func (j *Journal) put(frame []byte) error {
	n, err := j.file.WriteAt(frame, j.end)
	if err := short(n, len(frame), err); err != nil {
		if !noRoom(err) {
			return j.poisoned(fmt.Errorf("writing frame %d: %w", j.frames, err))
		}
		// What got in is no whole frame; take it back, so that the next
		// frame, which may be shorter, has nothing behind it.
		if err := j.file.Truncate(j.end); err != nil {
			return j.poisoned(fmt.Errorf("taking frame %d back: %w", j.frames, err))
		}
		return fmt.Errorf("writing frame %d of %d bytes: %w", j.frames, len(frame), ErrFull)
	}
	if err := j.file.Sync(); err != nil {
		return j.poisoned(fmt.Errorf("syncing frame %d: %w", j.frames, err))
	}
	j.end += int64(len(frame))
	j.frames++
	return nil
}
