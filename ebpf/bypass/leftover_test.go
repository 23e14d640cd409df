// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// needRoot skips a test that cannot run, or fails it where CI says that it must.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal("CROFT_REQUIRE_ROOT=1, and this is not root")
	}
	t.Skip("needs root")
}

// TestMain lets a test run this binary as a process to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("CROFT_BYPASS_VICTIM") != "" {
		victim()
	}
	os.Exit(m.Run())
}

// victim floods on a bench until it is killed. It says its tag when it does.
func victim() {
	b, err := openBench(context.Background())
	if err == nil {
		items, _ := Select([]string{"udp"})
		it := items[0]
		attack := it.attack
		it.attack = func(s *stage) ([]*flood, error) {
			os.Stdout.WriteString(b.tag + "\n")
			return attack(s)
		}
		_, err = b.once(context.Background(), it, true, time.Hour)
	}
	os.Stdout.WriteString("error: " + err.Error() + "\n")
	os.Exit(1)
}

// traces is what can be seen of a tag.
func traces(tag string) []string {
	var all []string
	for _, pattern := range []string{"/run/netns/croft-" + tag + "*", "/sys/fs/bpf/croft-" + tag, claims + "/" + tag} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		all = append(all, found...)
	}
	return all
}

func TestRootKilledBenchIsSwept(t *testing.T) {
	needRoot(t)
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "CROFT_BYPASS_VICTIM=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	tag, err := bufio.NewReader(out).ReadString('\n')
	if tag = strings.TrimSpace(tag); err != nil || len(tag) != 6 {
		t.Fatalf("the bench said %q, %v", tag, err)
	}
	if got := traces(tag); len(got) < 4 {
		t.Fatalf("the bench stands on %v", got)
	}
	// Somebody else's sweep lets it be while it lives.
	if gone, err := Sweep(t.Context()); err != nil || slices.Contains(gone, tag) {
		t.Fatalf("swept %v, %v", gone, err)
	}
	if got := traces(tag); len(got) < 4 {
		t.Fatalf("of a living bench is left %v", got)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if _, err := Sweep(t.Context()); err != nil { // another test's sweep may have been first
		t.Fatal(err)
	}
	if got := traces(tag); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestRootInterrupted(t *testing.T) {
	needRoot(t)
	before, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	items, err := Select([]string{"udp", "at-start"})
	if err != nil {
		t.Fatal(err)
	}
	var tag string
	attack := items[0].attack
	items[0].attack = func(s *stage) ([]*flood, error) {
		tag = s.tag
		time.AfterFunc(sampling, cancel)
		return attack(s)
	}
	if err := Run(ctx, Config{Items: items}, func(r Result) { t.Errorf("a result: %+v", r) }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if tag == "" {
		t.Fatal("it never began")
	}
	if got := traces(tag); len(got) != 0 {
		t.Errorf("left behind: %v (there were %d namespaces before)", got, len(before))
	}
}

// A bench that cannot be set up leaves nothing, whatever it was that failed.
func TestRootFailedBench(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, err := openBench(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, %v", b, err)
	}
}

// A file that was claimed but not named yet is removed too.
func TestSweepUnnamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone, err := sweep(t.Context(), dir)
	if err != nil || len(gone) != 1 {
		t.Errorf("swept %v, %v", gone, err)
	}
	if gone, err = sweep(t.Context(), filepath.Join(dir, "none")); err != nil || len(gone) != 0 {
		t.Errorf("swept %v, %v", gone, err)
	}
}

// Who claims and who sweeps at the same time do not take each other's.
func TestClaimBesideSweeps(t *testing.T) {
	dir := t.TempDir()
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			entries, err := os.ReadDir(dir)
			if err != nil {
				done <- err
				return
			}
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				lock, err := os.Open(path)
				if err != nil {
					continue
				}
				// As sweepOne does, but for what is in the kernel.
				if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
					os.Remove(path)
				}
				lock.Close()
			}
		}
		done <- nil
	}()
	held := map[string]*flock.Flock{}
	for range 200 {
		tag, lock, err := claim(dir)
		if err != nil {
			t.Fatal(err)
		}
		if held[tag] != nil {
			t.Fatalf("%s twice", tag)
		}
		held[tag] = lock
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for tag, lock := range held {
		if _, err := os.Stat(filepath.Join(dir, tag)); err != nil {
			t.Errorf("a claim was swept: %v", err)
		}
		lock.Close()
	}
}

// Who ends last takes the folder away, whoever is about to claim in it.
func TestTheFolderOfClaimsGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "claims")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = tidy(dir)
		}
		done <- err
	}()
	for range 200 {
		tag, lock, err := claim(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(filepath.Join(dir, tag)), lock.Close()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := errors.Join(<-done, tidy(dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if gone, err := sweep(t.Context(), dir); len(gone) != 0 || err != nil {
		t.Errorf("swept %v, %v", gone, err)
	}
}
