// SPDX-License-Identifier: Apache-2.0

package safe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"croft/node/journal"
)

// state says what may have become of the journal since the witness was written.
type state string

const (
	shut state = "shut" // nothing
	open state = "open" // it may have grown
	anew state = "anew" // it may have been replaced by a shorter one
)

// look is what a file looks like from outside. A copy has another inode or
// another birth; one that was written over the original has changed since.
type look struct {
	Inode   uint64 `json:"inode"`
	Born    int64  `json:"born"`    // ns; 0 where the file system does not say
	Changed int64  `json:"changed"` // ns: ctime, which nobody can set
	Size    int64  `json:"size"`
}

type testimony struct {
	State state `json:"state"`
	look
}

// known reports whether the journal is the one that the witness describes. There
// may be neither: then the purse is new.
func (s *Safe) known() (bool, error) {
	now, there, err := lookAt(s.path)
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(s.path + ".witness")
	if errors.Is(err, fs.ErrNotExist) {
		return !there, nil
	}
	if err != nil {
		return false, err
	}
	var was testimony
	if json.Unmarshal(b, &was) != nil {
		return false, nil // whatever it is, it is no witness
	}
	return was.knows(now, there), nil
}

func (was testimony) knows(now look, there bool) bool {
	same := now.Inode == was.Inode && now.Born == was.Born
	switch {
	case was.look == look{}: // a purse that was being made
		return was.State == open && now.Size <= journal.EmptySize
	case !there:
		return false
	case was.State == shut:
		return now == was.look
	case was.State == open:
		return same && now.Size >= was.Size
	case was.State == anew:
		return same && now.Size >= was.Size || now.Inode != was.Inode && now.Born >= was.Born
	}
	return false
}

// witness writes down what the journal looks like, durably.
func (s *Safe) witness(st state) error {
	now, _, err := lookAt(s.path)
	if err != nil {
		return err
	}
	b, err := json.Marshal(testimony{st, now})
	if err != nil {
		return err
	}
	path := s.path + ".witness"
	err = replace(path, append(b, '\n'))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("writing the purse's witness: %w", err)
	}
	return nil
}

// replace puts a file in the place of another: whole or not at all, and durable.
func replace(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a directory that the power cannot take away again.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	above := filepath.Dir(dir)
	return errors.Join(syncDir(above), syncDir(filepath.Dir(above)))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lookAt looks at the journal's file, after what was written to it has reached
// the disk, its inode included.
func lookAt(dir string) (l look, there bool, err error) {
	f, err := os.Open(filepath.Join(dir, journal.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return look{}, false, nil
	}
	if err != nil {
		return look{}, false, err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return look{}, false, err
	}
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		return look{}, false, fmt.Errorf("looking at %s: %w", f.Name(), err)
	}
	l = look{Inode: st.Ino, Changed: nanoseconds(st.Ctime), Size: int64(st.Size)}
	if st.Mask&unix.STATX_BTIME != 0 {
		l.Born = nanoseconds(st.Btime)
	}
	return l, true, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
