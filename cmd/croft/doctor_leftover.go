// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// leftover is what the kernel still has of a node, and no process holds.
type leftover struct {
	tag  string
	what []string
}

// roots are where nodes leave traces.
type roots struct {
	netns, bpf, proc string
	cgroups          []string // patterns
	links            func() ([]string, error)
}

var machineRoots = roots{netns: "/run/netns", bpf: "/sys/fs/bpf", proc: "/proc",
	cgroups: []string{"/sys/fs/cgroup/croft-*", "/sys/fs/cgroup/*/croft-*"}, links: linkNames}

// Every trace of a node carries its tag.
var (
	spaceForm = regexp.MustCompile(`^croft-([a-z2-7]{6})(-[0-9]+)?$`)
	traceForm = regexp.MustCompile(`^croft-([a-z2-7]{6})$`)
	linkForm  = regexp.MustCompile(`^cr-([a-z2-7]{6})$`)
)

func linkNames() (names []string, err error) {
	links, err := netlink.LinkList()
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names, err
}

// findLeftovers lists nodes of which there are traces, but whose namespaces no
// process is in or holds open: neither a daemon nor anything of a sliver lives.
func findLeftovers(r roots) ([]leftover, error) {
	traces := map[string][]string{}
	spaces := map[string][]uint64{} // a tag's namespaces, by inode
	slivers := map[string]int{}
	entries, err := os.ReadDir(r.netns)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, e := range entries {
		m := spaceForm.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if info, err := os.Stat(filepath.Join(r.netns, e.Name())); err == nil {
			spaces[m[1]] = append(spaces[m[1]], info.Sys().(*syscall.Stat_t).Ino)
		}
		if m[2] == "" {
			traces[m[1]] = append(traces[m[1]], "namespace")
		} else {
			slivers[m[1]]++
		}
	}
	for tag, n := range slivers {
		traces[tag] = append(traces[tag], fmt.Sprintf("%d slivers' namespaces", n))
	}
	links, err := r.links()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	for _, name := range links {
		if m := linkForm.FindStringSubmatch(name); m != nil {
			traces[m[1]] = append(traces[m[1]], "uplink "+name)
		}
	}
	for what, pattern := range map[string][]string{"pinned limits": {filepath.Join(r.bpf, "croft-*")}, "cgroups": r.cgroups} {
		seen := map[string]bool{}
		for _, p := range pattern {
			paths, err := filepath.Glob(p)
			if err != nil {
				return nil, err
			}
			for _, path := range paths {
				if m := traceForm.FindStringSubmatch(filepath.Base(path)); m != nil && !seen[m[1]] {
					seen[m[1]] = true
					traces[m[1]] = append(traces[m[1]], what)
				}
			}
		}
	}
	if len(traces) == 0 {
		return nil, nil
	}
	held := namespacesHeld(r.proc)
	var all []leftover
	for _, tag := range slices.Sorted(maps.Keys(traces)) {
		if slices.ContainsFunc(spaces[tag], func(inode uint64) bool { return held[inode] }) {
			continue
		}
		slices.Sort(traces[tag])
		all = append(all, leftover{tag, traces[tag]})
	}
	return all, nil
}

// namespacesHeld are the network namespaces that some process is in or has open,
// by inode. A process that ends meanwhile holds nothing.
func namespacesHeld(proc string) map[uint64]bool {
	held := map[uint64]bool{}
	note := func(path string) {
		target, err := os.Readlink(path)
		if err != nil {
			return
		}
		var inode uint64
		switch {
		case strings.HasPrefix(target, "net:["):
			if _, err := fmt.Sscanf(target, "net:[%d]", &inode); err != nil {
				return
			}
		case strings.HasPrefix(filepath.Base(target), "croft-"): // opened by its name
			var st unix.Stat_t
			if unix.Stat(path, &st) != nil {
				return
			}
			inode = st.Ino
		default:
			return
		}
		held[inode] = true
	}
	for _, pattern := range []string{"[0-9]*/ns/net", "[0-9]*/task/[0-9]*/ns/net", "[0-9]*/fd/*"} {
		paths, _ := filepath.Glob(filepath.Join(proc, pattern)) // the pattern is well formed
		for _, path := range paths {
			note(path)
		}
	}
	return held
}
