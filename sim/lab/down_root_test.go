// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestRootDownAfterKill kills the process that brings a lab up at each of its
// steps, and then takes down what it left.
func TestRootDownAfterKill(t *testing.T) {
	needRoot(t)
	for _, step := range []string{
		"site uni-a", "site outside", "node uni-a/n1", "node lab-c/n1", "relay",
		"daemon uni-a/n1", "daemon isp-b/n1", "ready uni-a/n1", "up",
	} {
		t.Run(step, func(t *testing.T) {
			dir, name := spot(t)
			cmd := exec.CommandContext(t.Context(), self(t), "die", dir, name, step)
			out, err := cmd.CombinedOutput()
			var status *exec.ExitError
			if !errors.As(err, &status) || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("it did not die at %s: %v\n%s", step, err, out)
			}
			if err := Down(t.Context(), dir, DownOptions{}); err != nil {
				t.Fatal(err)
			}
			nothingLeft(t, name, dir)
		})
	}
}

// TestRootDownAfterHalfANamespace: the name is there, the namespace is not yet.
func TestRootDownAfterHalfANamespace(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	p, err := draw(Config{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(p.Nodes[0].Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (&record{Plan: p}).save(dir); err != nil {
		t.Fatal(err)
	}
	if err := shareNetNSDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(netnsPath(p.Nodes[0].NetNS), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	wiped := 0
	err = Down(t.Context(), dir, DownOptions{Destroy: func(context.Context, string) error { wiped++; return nil }})
	if err != nil || wiped != 1 {
		t.Fatalf("wiped %d nodes, %v", wiped, err)
	}
	nothingLeft(t, name, dir)
}

// TestRootSweepWithoutDirectory: names alone suffice.
func TestRootSweepWithoutDirectory(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	if _, err := Up(t.Context(), Config{Dir: dir, Name: name, N: 1, Croft: self(t)}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); !errors.Is(err, ErrNoLab) {
		t.Errorf("down: %v", err)
	}
	if names, err := Names(); err != nil || !slices.Contains(names, name) {
		t.Errorf("%s is not among the labs %v (%v)", name, names, err)
	}
	if err := Sweep(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, name, dir)
}

// TestRootDownSparesOthers: a pid that was used again is not ours.
func TestRootDownSparesOthers(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	other := exec.CommandContext(t.Context(), "sleep", "300")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	p, err := draw(Config{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	now, err := identify(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stale := process{Pid: now.Pid, Start: now.Start - 1}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &record{Plan: p, Relay: stale, Daemons: map[string]process{p.Nodes[0].Name: stale}}
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); err != nil {
		t.Fatal(err)
	}
	if !now.alive() {
		t.Error("a process that the lab did not start is gone")
	}
	nothingLeft(t, name, dir)
}

// TestRootDownStopsAtAMount: removing files through a mount would be worse
// than leaving them.
func TestRootDownStopsAtAMount(t *testing.T) {
	needRoot(t)
	dir, name := spot(t)
	if _, err := Up(t.Context(), Config{Dir: dir, Name: name, N: 1, Croft: self(t)}); err != nil {
		t.Fatal(err)
	}
	precious := t.TempDir()
	if err := os.WriteFile(filepath.Join(precious, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "nodes", "uni-a-1", "rootfs")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(precious, at, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(at, syscall.MNT_DETACH)
	if err := Down(t.Context(), dir, DownOptions{}); !errors.Is(err, ErrMounted) || !strings.Contains(fmt.Sprint(err), at) {
		t.Errorf("down: %v", err)
	}
	if err := syscall.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), dir, DownOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(precious, "file")); err != nil {
		t.Error(err)
	}
	nothingLeft(t, name, dir)
}
