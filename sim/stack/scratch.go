// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// scratch is the directory of a run, locked by its processes. One that nobody has locked
// is of a run that was killed, and goes when the next begins.
type scratch struct {
	path string
	lock *os.File
}

// newScratch makes one, in memory if the machine has such a place: a thousand nodes sync
// many small files.
func newScratch() (*scratch, error) {
	for _, in := range []string{"/dev/shm", os.TempDir()} {
		if s, err := scratchIn(in); err == nil {
			return s, nil
		} else if in != "/dev/shm" {
			return nil, fmt.Errorf("making a directory for the run: %w", err)
		}
	}
	panic("unreachable")
}

// scratchIn makes one in a directory, out of which it sweeps what others left.
func scratchIn(in string) (*scratch, error) {
	left, err := filepath.Glob(filepath.Join(in, scratchName+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		sweep(path)
	}
	for range scratchTries {
		path, err := os.MkdirTemp(in, scratchName)
		if err != nil {
			return nil, err
		}
		lock, err := hold(path)
		if err == nil {
			return &scratch{path, lock}, nil
		}
		if !errors.Is(err, errSwept) {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
	}
	return nil, errSwept
}

// hold locks a directory. The error is errSwept if somebody else has it, or has removed
// it meanwhile: between its making and this it looked like one that was left.
func hold(path string) (lock *os.File, err error) {
	lock, err = os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept
	} else if err != nil {
		return nil, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errSwept
	}
	if err == nil {
		var held, named os.FileInfo
		if held, err = lock.Stat(); err == nil {
			if named, err = os.Lstat(path); err != nil || !os.SameFile(held, named) {
				err = errSwept
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// sweep removes what a run left that was killed: what is ours, and nobody has locked.
func sweep(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return
	}
	lock, err := hold(path)
	if err != nil {
		return // no directory, or of a run that goes on
	}
	defer lock.Close()
	_ = os.RemoveAll(path) // what cannot be removed now is by the next
}

// remove ends it.
func (s *scratch) remove() error { return errors.Join(os.RemoveAll(s.path), s.lock.Close()) }

// abandon removes the directory of a child whose parent was killed.
func abandon(path string) {
	if strings.HasPrefix(filepath.Base(path), scratchName) {
		_ = os.RemoveAll(path) // daemons still write: the rest is the next run's
	}
}
