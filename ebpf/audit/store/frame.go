// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
)

const (
	frameHead = 12 // length, CRC-32C of the record, CRC-32C of these two; little-endian

	magicOpen    = "croft audit open 2\n"
	magicLog     = "croft audit log 2\n"
	magicTenures = "croft audit tenures 2\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame wraps a record.
func frame(record []byte) []byte {
	b := make([]byte, frameHead, frameHead+len(record))
	binary.LittleEndian.PutUint32(b, uint32(len(record)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(record, castagnoli))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	return append(b, record...)
}

// length reads a frame's head and reports whether it is one. No record is empty:
// a block that never reached the disk reads as zeros, and so does its checksum.
func length(head []byte) (int64, bool) {
	n := int64(binary.LittleEndian.Uint32(head))
	return n, binary.LittleEndian.Uint32(head[8:]) == crc32.Checksum(head[:8], castagnoli) && n > 0 && n <= MaxRecord
}

// appended is a file of frames that grows.
type appended struct {
	path string
	file file
	size int64 // of what is durable
}

// add appends records durably. When the disk is full it undoes what it wrote and
// returns ErrDiskFull; after any other error nothing is known any more, and it is
// ErrPoisoned.
func (a *appended) add(records ...[]byte) error {
	var b []byte
	for _, r := range records {
		b = append(b, frame(r)...)
	}
	if _, err := a.file.WriteAt(b, a.size); err != nil {
		if err = full(err); !errors.Is(err, ErrDiskFull) {
			return fmt.Errorf("%w: %w", ErrPoisoned, err)
		}
		if undo := errors.Join(a.file.Truncate(a.size), a.file.Sync()); undo != nil {
			return fmt.Errorf("%w: %w", ErrPoisoned, undo)
		}
		return err
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	a.size += int64(len(b))
	return nil
}

// resume opens a file of frames to go on with it: it reads every record, cuts a
// torn tail, and writes the last many bytes again.
func resume(d disk, path, magic string, many int64, do func(record []byte) error) (*appended, error) {
	good, err := read(path, magic, math.MaxInt64, nil, do)
	if err != nil && !errors.Is(err, errTorn) {
		return nil, err
	}
	f, err := d.open(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(good), again(f, good, many)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &appended{path: path, file: f, size: good}, nil
}

// errTorn: the bytes end before a record does: what a crash leaves.
var errTorn = errors.New("torn")

// read calls do with each record in the file's first limit bytes and returns
// the offset behind the last whole one, and adds what it read to count. What
// cannot be read is errTorn when no whole frame lies behind it, as a crash leaves
// it, and else ErrCorrupt.
func read(path, magic string, limit int64, count *int64, do func(record []byte) error) (good int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	limit = min(limit, info.Size())
	if count != nil {
		defer func() { *count += good }()
	}
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, limit), 1<<16)
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(in, start); err != nil || string(start) != magic {
		return 0, fmt.Errorf("%s: no audit record of this version: %w", path, ErrCorrupt)
	}
	var head [frameHead]byte
	for good = int64(len(magic)); good < limit; {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return good, ended(err)
		}
		n, ok := length(head[:])
		if !ok || n > limit-good-frameHead {
			return good, judge(f, good, limit)
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(in, record); err != nil {
			return good, ended(err)
		}
		if crc32.Checksum(record, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return good, judge(f, good, limit)
		}
		if err := do(record); err != nil {
			return good, fmt.Errorf("%s at %d: %w", path, good, err)
		}
		good += frameHead + n
	}
	return good, nil
}

func ended(err error) error {
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return errTorn
	}
	return err
}

// judge tells a torn tail from a corrupt middle: whether a whole frame begins
// anywhere behind at.
func judge(f *os.File, at, limit int64) error {
	rest := make([]byte, limit-at)
	if _, err := f.ReadAt(rest, at); err != nil {
		return ended(err)
	}
	for i := 1; i+frameHead <= len(rest); i++ {
		n, ok := length(rest[i:])
		if !ok {
			continue
		}
		body := rest[i+frameHead:]
		if n <= int64(len(body)) && crc32.Checksum(body[:n], castagnoli) == binary.LittleEndian.Uint32(rest[i+4:]) {
			return fmt.Errorf("%s at %d: %w", f.Name(), at, ErrCorrupt)
		}
	}
	return errTorn
}
