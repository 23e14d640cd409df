// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	magic     = "croft audit 1\n"
	suffix    = ".seg"
	frameHead = 12         // length, CRC-32C of the record, CRC-32C of these two; little-endian
	sealMark  = 0xffffffff // a length that no record has
	sealSize  = frameHead + 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is one file. Its times span the rows in it; without rows first is
// above last.
type segment struct {
	number      uint64
	path        string
	size        int64 // of the durable frames, without the seal
	first, last int64
	sealed      bool
}

func (s *segment) span(first, last int64) {
	s.first, s.last = min(s.first, first), max(s.last, last)
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffix))
}

// frame wraps a record.
func frame(record []byte) []byte {
	b := make([]byte, frameHead, frameHead+len(record))
	binary.LittleEndian.PutUint32(b, uint32(len(record)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(record, castagnoli))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	return append(b, record...)
}

// length reads a frame's head and reports whether it is one.
func length(head []byte) (int64, bool) {
	n := int64(binary.LittleEndian.Uint32(head))
	return n, binary.LittleEndian.Uint32(head[8:]) == crc32.Checksum(head[:8], castagnoli) && (n <= MaxRecord || n == sealMark)
}

// seal ends a segment: a frame of its own kind, with the span.
func (s *segment) seal() []byte {
	b := make([]byte, sealSize)
	binary.LittleEndian.PutUint32(b, sealMark)
	binary.LittleEndian.PutUint64(b[frameHead:], uint64(s.first))
	binary.LittleEndian.PutUint64(b[frameHead+8:], uint64(s.last))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[frameHead:], castagnoli))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	return b
}

// readSeal fills s from the end of its file and reports whether it is sealed.
func (s *segment) readSeal() (bool, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < int64(len(magic)+sealSize) {
		return false, err
	}
	b := make([]byte, sealSize)
	if _, err := f.ReadAt(b, info.Size()-sealSize); err != nil {
		return false, err
	}
	if n, ok := length(b); !ok || n != sealMark || binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[frameHead:], castagnoli) {
		return false, nil
	}
	s.size = info.Size() - sealSize
	s.first = int64(binary.LittleEndian.Uint64(b[frameHead:]))
	s.last = int64(binary.LittleEndian.Uint64(b[frameHead+8:]))
	s.sealed = true
	return true, nil
}

// errTorn: the bytes end before a record does: what a crash leaves.
var errTorn = errors.New("torn")

// read calls do with each record in the file's first limit bytes and returns
// the offset behind the last whole one. What cannot be read is errTorn when no
// whole frame lies behind it, as a crash leaves it, and else ErrCorrupt.
func read(path string, limit int64, do func(record []byte) error) (good int64, err error) {
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
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, limit), 1<<16)
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(in, start); err != nil || string(start) != magic {
		return 0, fmt.Errorf("%s: no audit segment: %w", path, ErrCorrupt)
	}
	var head [frameHead]byte
	for good = int64(len(magic)); good < limit; {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return good, ended(err)
		}
		n, ok := length(head[:])
		if ok && n == sealMark {
			return good, nil
		}
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

// judge tells a torn tail from a corrupt middle: whether a whole frame, or the
// seal, begins anywhere behind at.
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
		if n == sealMark {
			n = sealSize - frameHead
		}
		if n <= int64(len(body)) && crc32.Checksum(body[:n], castagnoli) == binary.LittleEndian.Uint32(rest[i+4:]) {
			return fmt.Errorf("%s at %d: %w", f.Name(), at, ErrCorrupt)
		}
	}
	return errTorn
}

// list returns the directory's segments by number, and removes what a crash
// left of making one.
func list(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []*segment
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix+".new") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		number, err := strconv.ParseUint(digits, 16, 64)
		if !ok || err != nil || len(digits) != 16 {
			continue
		}
		all = append(all, &segment{number: number, path: filepath.Join(dir, e.Name()), first: 1<<63 - 1})
	}
	slices.SortFunc(all, func(a, b *segment) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// syncDir makes names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
