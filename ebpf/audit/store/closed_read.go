// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// closed is a closed segment's file that is being read.
type closed struct {
	*words
	file     *os.File
	segment  audit.Segment
	entries  []entry
	book     [2]int64 // offset and size
	bookSum  uint32
	read     *int64 // bytes, counted for whoever asked
	tail     []byte // the end of the file, from tailFrom
	tailFrom int64
}

// openClosed reads the index of a closed segment, counting bytes in read.
func openClosed(path string, read *int64) (_ *closed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := &closed{file: f, read: read}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM) // what is read ahead of an index is not read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < int64(len(magicClosed)+footSize) {
		return nil, ErrCorrupt
	}
	c.tailFrom = max(0, size-tailSize)
	if c.tail, err = c.at(c.tailFrom, size-c.tailFrom); err != nil {
		return nil, err
	}
	if err = c.foot(size); err != nil {
		return nil, err
	}
	return c, nil
}

// foot reads the foot of a file of so many bytes, from the tail, and the index.
func (c *closed) foot(size int64) error {
	if len(c.tail) < footSize {
		return ErrCorrupt
	}
	foot := c.tail[len(c.tail)-footSize:]
	if binary.LittleEndian.Uint32(foot[16:]) != footSum(foot) || string(foot[20:24]) != footMagic {
		return ErrCorrupt
	}
	book, index := int64(binary.LittleEndian.Uint32(foot)), int64(binary.LittleEndian.Uint32(foot[8:]))
	at := size - footSize - index
	c.book, c.bookSum = [2]int64{at - book, book}, binary.LittleEndian.Uint32(foot[4:])
	if c.book[0] < int64(len(magicClosed)) {
		return ErrCorrupt
	}
	b, err := c.section(at, index, binary.LittleEndian.Uint32(foot[12:]))
	if err != nil {
		return err
	}
	if c.segment, c.words, c.entries, err = readIndex(b); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func (c *closed) close() error { return c.file.Close() }

// at reads bytes, from the tail where they are in it.
func (c *closed) at(from, size int64) ([]byte, error) {
	b := make([]byte, size)
	rest := b
	if c.tail != nil && from+size > c.tailFrom {
		cut := max(0, c.tailFrom-from)
		copy(b[cut:], c.tail[from+cut-c.tailFrom:])
		rest = b[:cut]
	}
	if len(rest) == 0 {
		return b, nil
	}
	*c.read += int64(len(rest))
	if _, err := c.file.ReadAt(rest, from); err != nil {
		return nil, errors.Join(ErrCorrupt, err)
	}
	return b, nil
}

// section reads, checks and unpacks a packed part.
func (c *closed) section(from, size int64, sum uint32) ([]byte, error) {
	b, err := c.at(from, size)
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != sum {
		return nil, ErrCorrupt
	}
	if b = unpack(b, maxSection); b == nil {
		return nil, ErrCorrupt
	}
	return b, nil
}

// block reads the rows of one block.
func (c *closed) block(i int) ([]ebpf.Flow, error) {
	e := c.entries[i]
	if e.offset+e.size > c.book[0] {
		return nil, ErrCorrupt
	}
	b, err := c.at(e.offset, e.size)
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != e.sum {
		return nil, fmt.Errorf("%s, block %d: %w", c.file.Name(), i, ErrCorrupt)
	}
	rows, err := c.readBlock(b)
	if err != nil || len(rows) != e.rows {
		return nil, fmt.Errorf("%s, block %d: %w", c.file.Name(), i, errors.Join(ErrCorrupt, err))
	}
	return rows, nil
}

// may reports whether a block may hold a row to or from a remote address, and
// port unless it is 0, that overlaps a time.
func (c *closed) may(i int, remote netip.AddrPort, from, until int64) bool {
	e := c.entries[i]
	if e.last < from/millisecond || e.first > until/millisecond {
		return false
	}
	if !remote.Addr().IsValid() {
		return true
	}
	high := remote
	if remote.Port() == 0 {
		high = netip.AddrPortFrom(remote.Addr(), 0xffff)
	}
	return compareEnds(e.remote, high) <= 0 && (i+1 == len(c.entries) || compareEnds(c.entries[i+1].remote, remote) >= 0)
}

// content reads all of a segment.
func (c *closed) content() (*content, error) {
	if start, err := c.at(0, int64(len(magicClosed))); err != nil || string(start) != magicClosed {
		return nil, errors.Join(ErrCorrupt, err)
	}
	b, err := c.section(c.book[0], c.book[1], c.bookSum)
	if err != nil {
		return nil, err
	}
	all, err := readBook(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.file.Name(), ErrCorrupt, err)
	}
	for i := range c.entries {
		rows, err := c.block(i)
		if err != nil {
			return nil, err
		}
		all.rows = append(all.rows, rows...)
	}
	return all, nil
}
