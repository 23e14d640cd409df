// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Record is one fact, opaque to this package. At most MaxRecord bytes.
type Record []byte

// Options change how a journal is opened. The zero value is right for a node.
type Options struct {
	// MustExist: a missing journal is ErrMissing, and none is made. A key that
	// has signed must never be used without its journal.
	MustExist bool

	// Ballast is the room in bytes set aside for AppendClosing;
	// 0 is DefaultBallast, negative is none.
	Ballast int64

	Disk Disk // nil: the directory itself
}

// Journal is an open journal. See the package's comment.
type Journal struct {
	disk   Disk
	unlock func()

	pending sync.Mutex // guards next and closed
	next    *batch     // collects while another is being written
	closed  bool

	writing    sync.Mutex // held while the file changes; guards what follows
	file       File
	framer     framer
	generation uint64
	frames     uint64
	end        int64
	cut        int64
	ballast    ballast
	poison     error // why, once poisoned
}

const (
	FileName = "journal" // in the directory
	tmpName  = "journal.tmp"
	lockName = "lock"
)

// Open opens the journal in the directory path, or makes it, and returns every
// record that was acknowledged, in order: first the snapshot's, then what was
// appended. A record whose Append had not returned may be there too.
func Open(path string, opt Options) (*Journal, []Record, error) {
	if opt.Disk == nil {
		if err := makeDir(path); err != nil {
			return nil, nil, fmt.Errorf("opening journal: %w", err)
		}
		opt.Disk = dir(path)
	}
	if opt.Ballast == 0 {
		opt.Ballast = DefaultBallast
	}
	unlock, err := opt.Disk.Lock(lockName)
	if err != nil {
		return nil, nil, fmt.Errorf("locking journal in %s: %w", path, err)
	}
	j := &Journal{
		disk:    opt.Disk,
		unlock:  unlock,
		ballast: ballast{disk: opt.Disk, want: max(0, opt.Ballast)},
	}
	records, err := j.load(opt.MustExist)
	if err != nil {
		if j.file != nil {
			j.file.Close()
		}
		unlock()
		return nil, nil, fmt.Errorf("opening journal in %s: %w", path, err)
	}
	// A disk too full for the ballast is no reason not to run: what there is is
	// counted on, and Append refuses until it is whole.
	if err := j.ballast.fill(); err != nil && !errors.Is(err, ErrFull) {
		j.Close()
		return nil, nil, fmt.Errorf("opening journal in %s: %w", path, err)
	}
	return j, records, nil
}

func makeDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(path)))
}

func (j *Journal) load(mustExist bool) ([]Record, error) {
	if err := j.disk.Remove(tmpName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b, err := j.disk.Read(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		if mustExist {
			return nil, ErrMissing
		}
		return nil, j.replace(nil)
	}
	if err != nil {
		return nil, err
	}
	r, err := replay(b)
	if err != nil {
		return nil, err
	}
	if j.file, err = j.disk.Open(FileName); err != nil {
		return nil, err
	}
	j.framer, j.generation = framer{salt: r.header.salt}, r.header.generation
	j.frames, j.end, j.cut = r.frames, r.end, int64(len(b))-r.end
	if j.cut > 0 {
		if err := j.file.Truncate(j.end); err != nil {
			return nil, fmt.Errorf("cutting %d torn bytes: %w", j.cut, err)
		}
	}
	// The last frame may have been read from memory that never reached the disk
	// (its writer died before the fsync, or the fsync failed and the kernel
	// counts the pages as clean). Writing it again makes what we now rely on
	// durable, or tells us that it cannot be.
	if r.last != nil {
		if _, err := j.file.WriteAt(r.last, r.lastAt); err != nil {
			return nil, fmt.Errorf("confirming the last frame: %w", err)
		}
	}
	return r.records, errors.Join(j.file.Sync(), j.disk.Sync())
}

// Cut returns how many bytes of a torn frame Open cut off. They were never
// acknowledged.
func (j *Journal) Cut() int64 { return j.cut }

// Generation returns the number of snapshots that this journal has seen, the
// empty first included.
func (j *Journal) Generation() uint64 {
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.generation
}

// Size returns the file's length in bytes: when it is large against the state
// that it describes, it is time for a Snapshot.
func (j *Journal) Size() int64 {
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.end
}

// Close lets go of the files and the lock. What was acknowledged is durable
// already; appends under way return first. Close is idempotent.
func (j *Journal) Close() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.pending.Lock()
	defer j.pending.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	err := j.file.Close()
	j.unlock()
	return err
}

// usable is called with writing held.
func (j *Journal) usable() error {
	j.pending.Lock()
	defer j.pending.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.poison != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, j.poison)
	}
	return nil
}

// poisoned makes err the reason for every later refusal. It is called with
// writing held.
func (j *Journal) poisoned(err error) error {
	if j.poison == nil {
		j.poison = err
	}
	return fmt.Errorf("%w: %w", ErrPoisoned, err)
}

func newSalt() (salt [16]byte) {
	rand.Read(salt[:]) // never fails
	return salt
}

// short turns a write of too few bytes without a reason into one with.
func short(n, want int, err error) error {
	if err == nil && n < want {
		return io.ErrShortWrite
	}
	return err
}
