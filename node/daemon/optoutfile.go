// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"croft/ebpf/optout"
)

// optoutFile keeps entries over a restart: frames of length, checksum and bytes,
// added at the end, and written anew when most of them are of no use any more. It
// is no part of the journal, because nothing that the node promised depends on it:
// what is lost with a torn end comes back with the next pull.
type optoutFile struct {
	path   string
	f      *os.File
	frames int
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameHead is the size in bytes of a frame's length and checksum.
const frameHead = 8

func frame(entry []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(entry)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(entry, castagnoli))
	return append(b, entry...)
}

// openOptOutFile returns the entries that are on disk. What follows a frame that
// does not hold is cut off.
func openOptOutFile(path string) (_ *optoutFile, entries [][]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening opt-outs: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxOptOutFile))
	if err != nil {
		return nil, nil, fmt.Errorf("reading opt-outs: %w", errors.Join(err, f.Close()))
	}
	whole := int64(0)
	for rest := b; len(rest) > frameHead; {
		n := int(binary.BigEndian.Uint32(rest))
		if n > optout.MaxEntry || len(rest) < frameHead+n || crc32.Checksum(rest[frameHead:frameHead+n], castagnoli) != binary.BigEndian.Uint32(rest[4:]) {
			break
		}
		entries = append(entries, rest[frameHead:frameHead+n])
		rest = rest[frameHead+n:]
		whole = int64(len(b) - len(rest))
	}
	if err = f.Truncate(whole); err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("mending opt-outs: %w", errors.Join(err, f.Close()))
	}
	return &optoutFile{path, f, len(entries)}, entries, nil
}

// add puts entries on disk.
func (f *optoutFile) add(entries [][]byte) error {
	var b []byte
	for _, e := range entries {
		b = append(b, frame(e)...)
	}
	at, err := f.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("keeping opt-outs: %w", err)
	}
	if _, err = f.f.Write(b); err == nil {
		err = f.f.Sync()
	}
	if err != nil { // the next goes where this one should have gone
		_, seek := f.f.Seek(at, io.SeekStart)
		return fmt.Errorf("keeping opt-outs: %w", errors.Join(err, f.f.Truncate(at), seek))
	}
	f.frames += len(entries)
	return nil
}

// long reports whether the file is worth writing anew when so many are of use.
func (f *optoutFile) long(useful int) bool { return f.frames > 2*useful+minOptOutFrames }

// replace writes the file anew.
func (f *optoutFile) replace(entries []optout.Entry) error {
	var b []byte
	for _, e := range entries {
		b = append(b, frame(e.Bytes)...)
	}
	if err := writeDurably(f.path, b); err != nil {
		return fmt.Errorf("writing opt-outs anew: %w", err)
	}
	fresh, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing opt-outs anew: %w", err)
	}
	if _, err := fresh.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("writing opt-outs anew: %w", errors.Join(err, fresh.Close()))
	}
	old := f.f
	f.f, f.frames = fresh, len(entries)
	return old.Close()
}

func (f *optoutFile) Close() error { return f.f.Close() }
