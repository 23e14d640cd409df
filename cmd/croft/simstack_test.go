// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A run on the stack that is killed leaves files only until the next begins, also where
// its child is killed with it; a child does not outlive who listens.
func TestSimStackKilled(t *testing.T) {
	croft, dir := build(t), t.TempDir()
	file := filepath.Join(dir, "long.sim")
	if err := os.WriteFile(file, []byte("nodes 12 profile=flat\njoin wave=4 every=1s\nend 2d\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	begin := func() (parent *exec.Cmd, child int, files string) { // and waits until there are files
		t.Helper()
		parent = exec.CommandContext(t.Context(), croft, "sim", "run", file, "--world", "stack")
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		awaited(t, "the child writes no files", func() bool {
			child, files = childOf(parent.Process.Pid)
			left, _ := filepath.Glob(filepath.Join(files, "*"))
			return child > 0 && len(left) > 0
		})
		t.Cleanup(func() { // of a test that failed
			_ = parent.Process.Kill()
			_ = os.RemoveAll(files)
		})
		return parent, child, files
	}
	kill := func(cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	}
	isGone := func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}

	parent, child, files := begin()
	if err := syscall.Kill(child, syscall.SIGSTOP); err != nil { // it tidies nothing
		t.Fatal(err)
	}
	kill(parent)
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaited(t, "the child lives on", func() bool { return isGone(fmt.Sprintf("/proc/%d/fd/0", child)) })
	if isGone(files) {
		t.Error("nothing was left, so there is nothing to see")
	}

	parent, child, others := begin()
	if !isGone(files) {
		t.Errorf("%s is left", files)
	}
	kill(parent)
	awaited(t, "the child of a killed parent goes on", func() bool { return isGone(fmt.Sprintf("/proc/%d/fd/0", child)) })
	parent, _, _ = begin()
	if !isGone(others) {
		t.Errorf("%s is left", others)
	}
	if err := parent.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // partial, and so fails
}

// childOf finds the process that plays the stack for another, and its directory.
func childOf(parent int) (pid int, files string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(b)) {
			line, _ := os.ReadFile("/proc/" + word + "/cmdline")
			args := bytes.Split(bytes.TrimRight(line, "\x00"), []byte{0})
			if _, err := fmt.Sscan(word, &pid); err == nil && len(args) == 5 && string(args[2]) == "child" {
				return pid, string(args[4])
			}
		}
	}
	return 0, ""
}

func awaited(t *testing.T, complaint string, ok func() bool) {
	t.Helper()
	tick, over := time.NewTicker(20*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatal(complaint)
		}
	}
}
