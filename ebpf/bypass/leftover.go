// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"
)

// claims is where every bench that stands has a file of its tag's name, locked
// by its process. The file is made before anything else of the bench and removed
// after all else: one that nobody has locked is of a bench that was killed.
const claims = "/run/croft-bypass"

// claim makes a tag that nobody has and its locked file.
func claim(dir string) (tag string, lock *flock.Flock, err error) {
	for range claimTries {
		if err := os.MkdirAll(dir, 0o700); err != nil { // each time: who ends last takes it away
			return "", nil, err
		}
		tag = "b" + strings.ToLower(rand.Text()[:5])
		if _, there := os.Lstat(filepath.Join("/run/netns", "croft-"+tag)); there == nil {
			err = fmt.Errorf("%s: %w", tag, slivernet.ErrTaken)
			continue // a node's, whose tag begins like that
		}
		if lock, err = claimAs(dir, tag); err == nil {
			return tag, lock, nil
		}
	}
	return "", nil, err
}

// claimAs makes the file of one tag. It is locked before it has its name, so that
// no Sweep takes it for one of the dead; one that is in between is made again.
func claimAs(dir, tag string) (*flock.Flock, error) {
	unnamed := filepath.Join(dir, ".new-"+tag)
	lock := flock.New(unnamed, flock.SetFlag(os.O_RDONLY|os.O_CREATE|os.O_EXCL))
	switch ours, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !ours:
		return nil, fmt.Errorf("%s: %w", tag, errSwept) // and whose sweep it is removes it
	}
	err := os.Link(unnamed, filepath.Join(dir, tag))
	gone := os.Remove(unnamed)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if errors.Is(gone, fs.ErrNotExist) {
		gone = nil
	}
	return lock, gone
}

// Sweep removes what benches left whose process was killed, and returns their
// tags. It touches nothing else. It needs root.
func Sweep(ctx context.Context) ([]string, error) { return sweep(ctx, claims) }

func sweep(ctx context.Context, dir string) (gone []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		swept, err := sweepOne(ctx, path)
		if err != nil {
			return gone, fmt.Errorf("removing what bench %s left: %w", e.Name(), err)
		}
		if swept {
			gone = append(gone, e.Name())
		}
	}
	return gone, tidy(dir)
}

// tidy removes the folder of claims if it is empty. Who is about to claim in it makes
// it again.
func tidy(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return fmt.Errorf("removing empty %s: %w", dir, err)
}

func sweepOne(ctx context.Context, path string) (_ bool, err error) {
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY)) // and makes none
	switch ours, err := lock.TryLock(); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil // its bench just ended
	case err != nil:
		return false, err
	case !ours:
		return false, nil // its process lives, or a child has its lock for a moment more
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	name := filepath.Base(path)
	if !strings.HasPrefix(name, ".") { // else it had no name yet, and so nothing else
		if err := raze(ctx, name); err != nil {
			return false, err
		}
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return true, err
	}
	return false, nil // its bench ended by itself, a moment ago
}

// raze removes everything of a tag but its file. It runs in a namespace of its
// own: what a bench made is in none that it did not make, so nothing of the
// caller's is looked at.
func raze(ctx context.Context, tag string) error {
	ns, err := anonymous()
	if err != nil {
		return err
	}
	defer ns.Close()
	ctx, cancel := context.WithTimeout(ctx, teardown)
	defer cancel()
	for {
		err := within(ns, func() error { return slivernet.Destroy(ctx, tag) })
		if err == nil {
			return kernel.Destroy("", tag)
		}
		if !errors.Is(err, slivernet.ErrTaken) { // the other end of its uplink is still being cleared
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}
