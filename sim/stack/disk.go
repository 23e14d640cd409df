// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"io/fs"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"croft/node/journal"
)

// disk is what a journal's directory is on: in memory, and with a memory of what was
// synced, which is all that a power failure leaves for certain. An fsync takes its
// time. It implements [journal.Disk].
type disk struct {
	mu             sync.Mutex
	names, durable map[string]*file
	locked         bool
	lossy          bool // a broken disk, to see the checks notice: it forgets what it synced last
}

type file struct {
	disk         *disk
	data, synced []byte
}

var _ journal.Disk = (*disk)(nil)

func newDisk() *disk { return &disk{names: map[string]*file{}, durable: map[string]*file{}} }

// after is the disk as the next daemon finds it. The end of a process alone loses
// nothing that was written; a torn one what was not synced, but for a beginning of it.
func (d *disk) after(torn bool, cut func(n int) int) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newDisk()
	next.lossy = d.lossy
	names := d.names
	if torn {
		names = d.durable
	}
	for name, f := range names {
		data := f.data
		if torn {
			data = f.synced
			if more := len(f.data) - len(f.synced); more > 0 && bytes.HasPrefix(f.data, f.synced) {
				data = f.data[:len(f.synced)+cut(more+1)]
			}
		}
		if d.lossy && len(data) > 512 { // not the header
			data = data[:len(data)-64]
		}
		g := &file{disk: next, data: bytes.Clone(data), synced: bytes.Clone(data)}
		next.names[name], next.durable[name] = g, g
	}
	return next
}

func syncing() { <-time.After(syncLeast + rand.N(syncMost-syncLeast)) }

// Read implements [journal.Disk], as do the following.
func (d *disk) Read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(f.data), nil
}

func (d *disk) Open(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func (d *disk) Create(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &file{disk: d}
	d.names[name] = f
	return f, nil
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.names[from]
	if !ok {
		return fs.ErrNotExist
	}
	delete(d.names, from)
	d.names[to] = f
	return nil
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.names[name]; !ok {
		return fs.ErrNotExist
	}
	delete(d.names, name)
	return nil
}

func (d *disk) Sync() error {
	syncing()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable = maps.Clone(d.names)
	return nil
}

// Reserve has room without end.
func (d *disk) Reserve(_ string, size int64) (int64, error) { return size, nil }

func (d *disk) Lock(string) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, journal.ErrLocked
	}
	d.locked = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.locked = false
	}, nil
}

// WriteAt implements [journal.File], as do the following.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if need := int(off) + len(b); need > len(f.data) {
		f.data = append(f.data, make([]byte, need-len(f.data))...)
	}
	return copy(f.data[off:], b), nil
}

func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.data = f.data[:min(int(size), len(f.data))]
	return nil
}

// Sync keeps what had been written when it began.
func (f *file) Sync() error {
	f.disk.mu.Lock()
	data := bytes.Clone(f.data)
	f.disk.mu.Unlock()
	syncing()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.synced = data
	return nil
}

func (f *file) Close() error { return nil }
