// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func take(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestALockIsForOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		first := take(t, path)
		begun := time.Now()
		if _, err := Take(path); !errors.Is(err, ErrHeld) || time.Since(begun) != Patience {
			t.Errorf("a second one: %v, after %s", err, time.Since(begun))
		}
		second, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if err := Try(second); !errors.Is(err, ErrHeld) {
			t.Errorf("tried: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := Wait(ctx, second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited for an hour: %v", err)
		}

		// One who has it for a moment is waited for.
		time.AfterFunc(Patience-time.Second, func() { first.Close() })
		take(t, path).Close()
		if err := Try(second); err != nil {
			t.Errorf("when nobody has it: %v", err)
		}
	})
}

// A child that was started before the lock was let go has it until it ends, as one
// has between fork and exec.
func TestALockThatAChildHasIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock := take(t, path)
	child := exec.Command("cat")
	child.ExtraFiles = []*os.File{lock} // its descriptor 3
	in, err := child.StdinPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Try(f); !errors.Is(err, ErrHeld) {
		t.Errorf("the child has it, and %v", err)
	}
	got := make(chan error, 1)
	go func() { got <- Wait(t.Context(), f) }()
	in.Close()
	if err := errors.Join(child.Wait(), <-got); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeLockedSaysSo(t *testing.T) {
	if _, err := Take(filepath.Join(t.TempDir(), "none", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
	f := take(t, filepath.Join(t.TempDir(), "lock"))
	f.Close()
	if err := Try(f); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("a closed file: %v", err)
	}
}
