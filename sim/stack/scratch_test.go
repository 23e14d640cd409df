// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Who begins removes what the killed left, and nothing else.
func TestScratchIsSwept(t *testing.T) {
	in := t.TempDir()
	made := func(path ...string) string {
		t.Helper()
		name := filepath.Join(append([]string{in}, path...)...)
		if err := os.MkdirAll(filepath.Join(name, "3", "node"), 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	left, other := made(scratchName+"1"), made("croft-other")
	linked := made("linked")
	if err := os.Symlink(linked, filepath.Join(in, scratchName+"2")); err != nil {
		t.Fatal(err)
	}
	stranger := made(scratchName + "3")
	if os.Geteuid() == 0 {
		if err := os.Chown(stranger, 4711, -1); err != nil {
			t.Fatal(err)
		}
	}

	first, err := scratchIn(in)
	if err != nil {
		t.Fatal(err)
	}
	second, err := scratchIn(in)
	if err != nil {
		t.Fatal(err)
	}
	there := func(path string, want bool) {
		t.Helper()
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	there(left, false)
	there(other, true)
	there(filepath.Join(linked, "3"), true)
	there(stranger, os.Geteuid() == 0)
	there(first.path, true)

	if err := first.lock.Close(); err != nil { // as the kernel does for who is killed
		t.Fatal(err)
	}
	if err := second.remove(); err != nil {
		t.Error(err)
	}
	third, err := scratchIn(in)
	if err != nil {
		t.Fatal(err)
	}
	there(first.path, false)
	there(second.path, false)
	abandon(third.path)
	there(third.path, false)
	abandon(other)
	there(other, true)
}

// However many begin at once, none takes another's directory for a left one.
func TestScratchAtOnce(t *testing.T) {
	in := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 40 {
				s, err := scratchIn(in)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(s.path, "file"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := s.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if names, err := os.ReadDir(in); err != nil || len(names) > 0 {
		t.Errorf("left are %v (%v)", names, err)
	}
}
