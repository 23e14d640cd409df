// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// Disk is the part of a file system that the journal needs, small enough for a
// model to lose what was not synced. Names are relative to the journal's directory.
type Disk interface {
	Read(name string) ([]byte, error)
	Open(name string) (File, error)   // for writing, must exist
	Create(name string) (File, error) // for writing, empty
	Rename(from, to string) error
	Remove(name string) error
	Sync() error // of the directory

	// Reserve makes a file whose blocks are allotted, or lengthens it, and
	// returns how long it is, also on failure.
	Reserve(name string, size int64) (have int64, err error)

	// Lock returns ErrLocked if another process has it.
	Lock(name string) (unlock func(), err error)
}

// File is open for writing. What was written is durable once Sync has returned.
type File interface {
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// dir is a directory of the real file system.
type dir string

func (d dir) path(name string) string          { return filepath.Join(string(d), name) }
func (d dir) Read(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }
func (d dir) Rename(from, to string) error     { return os.Rename(d.path(from), d.path(to)) }
func (d dir) Remove(name string) error         { return os.Remove(d.path(name)) }

func (d dir) Open(name string) (File, error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY, 0)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (d dir) Create(name string) (File, error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d dir) Sync() error { return syncDir(string(d)) }

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d dir) Reserve(name string, size int64) (have int64, err error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if have, err = f.Seek(0, io.SeekEnd); err != nil || have >= size {
		return have, err
	}
	for {
		if err = unix.Fallocate(int(f.Fd()), 0, 0, size); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fill(f, have, size) // what posix_fallocate does where the kernel cannot
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return have, errors.Join(err, f.Truncate(have)) // a failure may have allotted a part
	}
	return size, nil
}

func fill(f *os.File, have, size int64) error {
	block := make([]byte, ballastStep)
	for off := have; off < size; off += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// Lock waits for what a dead process may have left for a moment.
func (d dir) Lock(name string) (func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	lock := flock.New(d.path(name))
	_, err := lock.TryLockContext(ctx, retry)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// noRoom reports whether err says that the disk or the quota is used up.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
