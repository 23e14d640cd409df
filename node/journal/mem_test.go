// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"

	"golang.org/x/sys/unix"
)

// memDisk is a disk that forgets what was not synced when it crashes, fails
// where it is told to and has a size.
type memDisk struct {
	names, durable map[string]*memFile // the directory, and what of it survives
	locked         bool
	room           int64 // bytes; negative is no limit
	ops            int
	fault          func(op int, what string) error // asked before each operation that changes anything
}

type memFile struct {
	disk          *memDisk
	name          string
	data, durable []byte
}

var errCrashed = errors.New("machine is off")

func newMemDisk() *memDisk {
	return &memDisk{names: map[string]*memFile{}, durable: map[string]*memFile{}, room: -1}
}

// crash returns what the next boot finds: files and directory as last synced
// if harsh, else everything that was written.
func (d *memDisk) crash(harsh bool) *memDisk {
	n := newMemDisk()
	names := d.names
	if harsh {
		names = d.durable
	}
	for name, f := range names {
		data := f.data
		if harsh {
			data = f.durable
		}
		g := &memFile{disk: n, name: name, data: bytes.Clone(data), durable: bytes.Clone(data)}
		n.names[name], n.durable[name] = g, g
	}
	return n
}

func (d *memDisk) do(what string) error {
	d.ops++
	if d.fault == nil {
		return nil
	}
	return d.fault(d.ops, what)
}

func (d *memDisk) used() (n int64) {
	for _, f := range d.names {
		n += int64(len(f.data))
	}
	return n
}

func (d *memDisk) Read(name string) ([]byte, error) {
	f, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(f.data), nil
}

func (d *memDisk) Open(name string) (File, error) {
	f, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func (d *memDisk) Create(name string) (File, error) {
	if err := d.do("create " + name); err != nil {
		return nil, err
	}
	f := &memFile{disk: d, name: name}
	d.names[name] = f
	return f, nil
}

func (d *memDisk) Rename(from, to string) error {
	if err := d.do("rename " + from); err != nil {
		return err
	}
	f, ok := d.names[from]
	if !ok {
		return fs.ErrNotExist
	}
	delete(d.names, from)
	f.name, d.names[to] = to, f
	return nil
}

func (d *memDisk) Remove(name string) error {
	if err := d.do("remove " + name); err != nil {
		return err
	}
	if _, ok := d.names[name]; !ok {
		return fs.ErrNotExist
	}
	delete(d.names, name)
	return nil
}

func (d *memDisk) Sync() error {
	if err := d.do("sync directory"); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	return nil
}

func (d *memDisk) Reserve(name string, size int64) (int64, error) {
	if err := d.do("reserve"); err != nil {
		return 0, err
	}
	f, ok := d.names[name]
	if !ok {
		f = &memFile{disk: d, name: name}
		d.names[name] = f
	}
	have := int64(len(f.data))
	if have >= size {
		return have, nil
	}
	if d.room >= 0 && d.used()+size-have > d.room {
		return have, unix.ENOSPC
	}
	f.data = append(f.data, make([]byte, size-have)...)
	f.durable = bytes.Clone(f.data)
	return size, nil
}

func (d *memDisk) Lock(string) (func(), error) {
	if d.locked {
		return nil, ErrLocked
	}
	d.locked = true
	return func() { d.locked = false }, nil
}

// WriteAt writes what there is room for, or half if a fault says so.
func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := len(b), f.disk.do("write "+f.name)
	if err != nil {
		n /= 2
	} else if grown := off + int64(n) - int64(len(f.data)); f.disk.room >= 0 && f.disk.used()+grown > f.disk.room {
		n, err = max(0, n-int(f.disk.used()+grown-f.disk.room)), unix.ENOSPC
	}
	if errors.Is(err, errShort) {
		err = nil
	}
	if need := off + int64(n); need > int64(len(f.data)) {
		f.data = append(f.data, make([]byte, need-int64(len(f.data)))...)
	}
	copy(f.data[off:], b[:n])
	return n, err
}

// errShort makes a write short without an error.
var errShort = errors.New("short")

func (f *memFile) Truncate(size int64) error {
	if err := f.disk.do("truncate " + f.name); err != nil {
		return err
	}
	f.data = f.data[:min(size, int64(len(f.data)))]
	return nil
}

func (f *memFile) Sync() error {
	if err := f.disk.do("sync " + f.name); err != nil {
		return err
	}
	f.durable = bytes.Clone(f.data)
	return nil
}

func (f *memFile) Close() error { return nil }
