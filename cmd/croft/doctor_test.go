// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A machine with traces of four nodes: the first is alive, a sliver of the second
// is, the third is dead, the fourth never got as far as a namespace.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	touch := func(parts ...string) string {
		path := filepath.Join(append([]string{dir}, parts...)...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inode := func(path string) uint64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	link := func(target string, parts ...string) {
		path := filepath.Join(append([]string{dir, "proc"}, parts...)...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
	}
	link(touch("netns", "croft-aaaaaa"), "7", "fd", "3") // a daemon that opened it by its name
	touch("netns", "croft-bbbbbb")
	link(fmt.Sprintf("net:[%d]", inode(touch("netns", "croft-bbbbbb-12"))), "8", "ns", "net")
	touch("netns", "croft-cccccc")
	touch("netns", "croft-cccccc-0")
	touch("netns", "croft-cccccc-1")
	touch("netns", "croftlab-dddddd-outside")
	touch("netns", "croft-toolong-1")
	link("net:[1]", "9", "ns", "net")
	link("/dev/null", "9", "fd", "0")
	for _, tag := range []string{"aaaaaa", "cccccc", "eeeeee"} {
		touch("bpf", "croft-"+tag)
	}
	touch("cgroup", "cpu", "croft-cccccc")
	touch("cgroup", "pids", "croft-cccccc")
	r := roots{netns: filepath.Join(dir, "netns"), bpf: filepath.Join(dir, "bpf"), proc: filepath.Join(dir, "proc"),
		cgroups: []string{filepath.Join(dir, "cgroup", "*", "croft-*")},
		links:   func() ([]string, error) { return []string{"lo", "cr-cccccc", "cr-aaaaaa", "cr-not-a-tag"}, nil }}
	got, err := findLeftovers(r)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range got {
		lines = append(lines, l.tag+": "+strings.Join(l.what, ", "))
	}
	want := []string{"cccccc: 2 slivers' namespaces, cgroups, namespace, pinned limits, uplink cr-cccccc", "eeeeee: pinned limits"}
	if !slices.Equal(lines, want) {
		t.Errorf("left over:\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if got, err := findLeftovers(roots{netns: dir + "/none", links: func() ([]string, error) { return nil, nil }}); err != nil || len(got) != 0 {
		t.Errorf("on an empty machine: %v, %v", got, err)
	}
}

// A namespace that this process has open is held.
func TestNamespacesHeld(t *testing.T) {
	f, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if held := namespacesHeld("/proc"); !held[info.Sys().(*syscall.Stat_t).Ino] || held[1] {
		t.Errorf("%d namespaces are held, and not this one", len(held))
	}
}
