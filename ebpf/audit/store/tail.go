// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// A Tail reads the epochs of a record that another process writes, each once and
// whole, and holds every one against its account by itself. It takes no lock and
// writes nothing. Who looks seldom may find that a segment was closed in between:
// its epochs are then an alarm of kind gap. Not safe for concurrent use.
//
//	t := store.NewTail("/var/lib/croft/audit")
//	defer t.Close()
//	for ; ; wait() { epochs, alarms, err := t.Next() }
type Tail struct {
	dir    string
	file   *os.File // of the segment that is read; nil before the first
	number uint64
	at     int64 // what was read of it
	last   map[uint64]uint64
}

// Accounted is one epoch of a [Tail].
type Accounted struct {
	audit.EpochLeaf
	Bytes  int64     // that it takes in its open segment
	Newest time.Time // when its newest packet passed, to the millisecond; zero without rows
	Kept   time.Time // when it was durable at the latest, for the newest in its file; else zero
}

// NewTail returns one that begins with the oldest segment that is not closed.
func NewTail(dir string) *Tail { return &Tail{dir: dir, last: map[uint64]uint64{}} }

// Close ends it.
func (t *Tail) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// Next returns what came since the last call, in the order in which it came. Alarms
// are those that the writer raised, and those that t finds in the epochs itself.
func (t *Tail) Next() (epochs []Accounted, alarms []audit.Alarm, err error) {
	for {
		more, err := t.later() // before reading: what has a successor grows no more
		if err != nil {
			return epochs, alarms, err
		}
		if t.file != nil {
			if err := t.read(&epochs, &alarms); err != nil {
				return epochs, alarms, fmt.Errorf("following %s: %w", t.file.Name(), err)
			}
		}
		if len(more) == 0 {
			return epochs, alarms, nil
		}
		f, err := os.Open(openPath(t.dir, more[0]))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was closed meanwhile, and is not in the next list
		}
		if err != nil {
			return epochs, alarms, err
		}
		if err := t.Close(); err != nil {
			return epochs, alarms, errors.Join(err, f.Close())
		}
		t.file, t.number, t.at = f, more[0], int64(len(magicOpen))
	}
}

// later returns the numbers of open segments behind the one that is read.
func (t *Tail) later() (numbers []uint64, err error) {
	entries, err := os.ReadDir(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever recorded
	}
	for _, e := range entries {
		digits, mine := strings.CutSuffix(filepath.Base(e.Name()), suffixOpen)
		n, bad := strconv.ParseUint(digits, 16, 64)
		if mine && bad == nil && len(digits) == 16 && (t.file == nil || n > t.number) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// read takes the whole frames behind t.at. What ends early is being written.
func (t *Tail) read(epochs *[]Accounted, alarms *[]audit.Alarm) error {
	for {
		info, err := t.file.Stat()
		if err != nil {
			return err
		}
		var head [frameHead]byte
		if _, err := t.file.ReadAt(head[:], t.at); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		n, ok := length(head[:])
		if !ok || t.at+frameHead+n > info.Size() {
			return nil
		}
		record := make([]byte, n)
		if _, err := t.file.ReadAt(record, t.at+frameHead); err != nil {
			return err
		}
		if crc32.Checksum(record, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return nil
		}
		v, err := decode(record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		t.at += frameHead + n
		switch v := v.(type) {
		case *ebpf.Epoch:
			*alarms = append(*alarms, audit.AlarmsOf(*v, t.last[v.Series])...)
			t.last[v.Series] = v.Number
			a := Accounted{EpochLeaf: audit.EpochOf(*v), Bytes: frameHead + n}
			for _, f := range v.Flows {
				if at := time.Unix(0, f.Last); at.After(a.Newest) {
					a.Newest = at
				}
			}
			if t.at == info.Size() {
				a.Kept = info.ModTime()
			}
			*epochs = append(*epochs, a)
		case *audit.Alarm:
			*alarms = append(*alarms, *v)
		}
	}
}
