// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"croft/sandbox"
)

// ring is a program's output in a bounded number of files. A record is a line
// in the form of the Kubernetes CRI: time, stream, F or P (a line that goes
// on), text.
type ring struct {
	dir string

	mu      sync.Mutex
	file    *os.File
	seq     int
	size    int64
	changed chan struct{} // closed and replaced at each record
}

// openRing goes on after the newest file, so that a warden's output follows
// that of the sliver's last start.
func openRing(dir string) (*ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening log: %w", space(err))
	}
	r := &ring{dir: dir, changed: make(chan struct{})}
	if seqs := sequences(dir); len(seqs) > 0 {
		r.seq = seqs[len(seqs)-1]
	}
	return r, r.next()
}

func segment(dir string, seq int) string { return filepath.Join(dir, fmt.Sprintf("%08d", seq)) }

// sequences lists the numbers of the files that are there, in order.
func sequences(dir string) []int {
	entries, _ := os.ReadDir(dir) // none is no output
	var seqs []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			seqs = append(seqs, n)
		}
	}
	slices.Sort(seqs)
	return seqs
}

func (r *ring) next() error {
	f, err := os.OpenFile(segment(r.dir, r.seq+1), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("opening log: %w", space(err))
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.seq, r.size = f, r.seq+1, 0
	for _, old := range sequences(r.dir) {
		if old <= r.seq-segments {
			os.Remove(segment(r.dir, old))
		}
	}
	return nil
}

// add writes one record. Output that the disk has no room for is lost: the
// program must not wait for it.
func (r *ring) add(stream string, whole bool, text []byte) {
	tag := "P"
	if whole {
		tag = "F"
	}
	line := fmt.Appendf(nil, "%s %s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), stream, tag, text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+int64(len(line)) > segmentSize && r.next() != nil {
		return
	}
	n, err := r.file.Write(line)
	if err != nil { // take half a record back
		_ = r.file.Truncate(r.size)
		_, _ = r.file.Seek(r.size, io.SeekStart)
		return
	}
	r.size += int64(n)
	close(r.changed)
	r.changed = make(chan struct{})
}

// take reads a stream to its end.
func (r *ring) take(stream string, from io.Reader) {
	in := bufio.NewReaderSize(from, maxRecord)
	for {
		line, err := in.ReadSlice('\n')
		whole := err == nil
		if whole {
			line = line[:len(line)-1]
		}
		if whole || len(line) > 0 {
			r.add(stream, whole, line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (r *ring) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// copyLog writes the records in dir to w. With Follow and a ring that is still
// written it goes on until ended is closed; a follower that is slower than the
// ring loses the oldest records.
func copyLog(ctx context.Context, dir string, o sandbox.LogOptions, w io.Writer, live *ring, ended <-chan struct{}) error {
	var at position
	first := true
	for {
		var changed <-chan struct{}
		last := false
		if live != nil {
			changed = live.wait() // before reading: nothing can slip between
		}
		select {
		case <-ended:
			last = true
		default:
		}
		data, next := at.read(dir)
		at = next
		if first && o.Tail > 0 {
			data = tail(data, o.Tail)
		}
		first = false
		if err := render(data, o.Times, w); err != nil {
			return err
		}
		if live == nil || !o.Follow || last {
			return nil
		}
		select {
		case <-changed:
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// position is how far a reader of a ring is.
type position struct {
	seq    int
	offset int64
}

// read returns the whole records after p, and the position after them.
func (p position) read(dir string) ([]byte, position) {
	var data []byte
	for _, seq := range sequences(dir) {
		if seq < p.seq {
			continue
		}
		if seq > p.seq {
			p = position{seq: seq}
		}
		f, err := os.Open(segment(dir, seq))
		if err != nil {
			continue // just rotated away
		}
		b, _ := io.ReadAll(io.NewSectionReader(f, p.offset, segmentSize))
		f.Close()
		b = b[:bytes.LastIndexByte(b, '\n')+1]
		p.offset += int64(len(b))
		data = append(data, b...)
	}
	return data, p
}

// tail keeps the last n records.
func tail(data []byte, n int) []byte {
	at := len(data)
	for ; n > 0 && at > 0; n-- {
		at = bytes.LastIndexByte(data[:at-1], '\n') + 1
	}
	return data[at:]
}

// render writes records as the program wrote them, or with time and stream.
func render(data []byte, times bool, w io.Writer) error {
	var out []byte
	for line := range bytes.Lines(data) {
		parts := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
		if len(parts) < 4 {
			continue // not ours
		}
		if times {
			out = fmt.Appendf(out, "%s %s ", parts[0], parts[1])
		}
		out = append(out, parts[3]...)
		if times || parts[2][0] == 'F' {
			out = append(out, '\n')
		}
	}
	if len(out) == 0 {
		return nil
	}
	_, err := w.Write(out)
	return err
}
