// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// disk is what a store does to its directory. A test gives one that fails.
type disk interface {
	create(path string) (file, error) // empty, in place of what was there
	open(path string) (file, error)   // to go on writing
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error // makes names durable
}

type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

type realDisk struct{}

func (realDisk) create(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (realDisk) open(path string) (file, error) { return os.OpenFile(path, os.O_RDWR, 0) }
func (realDisk) rename(from, to string) error   { return os.Rename(from, to) }

func (realDisk) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (realDisk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// whole makes a file that is there with all of b or not at all.
func whole(d disk, dir, path string, b []byte) (_ file, err error) {
	f, err := d.create(path + fresh)
	if err != nil {
		return nil, full(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(full(err), f.Close(), d.remove(path+fresh))
		}
	}()
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := d.rename(path+fresh, path); err != nil {
		return nil, err
	}
	return f, d.syncDir(dir)
}

// again writes the durable part of a file once more and syncs it, at most the
// last many bytes. After a sync that failed the kernel has bytes in memory that it
// thinks are on disk: who opens the file then reads what a power loss takes.
func again(f file, size, many int64) error {
	b := make([]byte, min(size, 1<<20))
	for at := max(0, size-many); at < size; {
		n := min(int64(len(b)), size-at)
		if _, err := f.ReadAt(b[:n], at); err != nil {
			return err
		}
		if _, err := f.WriteAt(b[:n], at); err != nil {
			return err
		}
		at += n
	}
	return f.Sync()
}

// full gives the errors of a full disk one name.
func full(err error) error {
	if !errors.Is(err, ErrDiskFull) && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
