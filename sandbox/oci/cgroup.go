// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

// Cgroups works on the cgroups of one machine.
type Cgroups struct{ Layout sandbox.Layout }

// HostCgroups reads the machine's layout.
func HostCgroups() (Cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return Cgroups{}, fmt.Errorf("reading mounts: %w", err)
	}
	l := sandbox.ParseLayout(string(mounts), "")
	if l.Mode != sandbox.CgroupV2 {
		return Cgroups{l}, nil
	}
	list, err := os.ReadFile(filepath.Join(l.Unified, "cgroup.controllers"))
	if err != nil {
		return Cgroups{}, fmt.Errorf("reading cgroup controllers: %w", err)
	}
	return Cgroups{sandbox.ParseLayout(string(mounts), string(list))}, nil
}

// Host describes this machine for [sandbox.Bundle]; the caller adds what
// belongs to one sliver.
func (c Cgroups) Host(tag string) sandbox.Host {
	h := sandbox.Host{Layout: c.Layout, Arch: runtime.GOARCH, Tag: tag}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		// A release that does not parse leaves zeros: the oldest kernel, and
		// so the strictest filter.
		_, _ = fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &h.Kernel.Major, &h.Kernel.Minor)
	}
	// Raising a limit takes a privilege that a node need not have.
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		h.Open = files.Max
	}
	if dir, v1 := c.Layout.Controllers["memory"]; v1 {
		_, err := os.Stat(filepath.Join(dir, "memory.memsw.limit_in_bytes"))
		h.NoSwap = err != nil
	} else if _, err := os.Stat("/proc/swaps"); err != nil {
		h.NoSwap = true
	}
	return h
}

// join lists the hierarchies in which a process outside of any sliver gets a
// cgroup of its own: those by which service managers end whole services, and
// the one by which [Cgroups.Kill] finds processes.
func (c Cgroups) join() []string {
	var dirs []string
	if c.Layout.Unified != "" {
		dirs = append(dirs, c.Layout.Unified)
	}
	for _, name := range []string{"name=systemd", "freezer"} {
		if dir, ok := c.Layout.Controllers[name]; ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Join makes a cgroup and moves this process there, out of the service that
// started it. The root cgroup "/" is a cgroup too.
func (c Cgroups) Join(cgroup string) error {
	for _, dir := range c.join() {
		at := filepath.Join(dir, cgroup)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return fmt.Errorf("making cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(at, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("joining cgroup: %w", err)
		}
	}
	return nil
}

// Kill ends every process of a cgroup and of those below it, and returns when
// none is left or ctx ends. A cgroup that does not exist is empty.
func (c Cgroups) Kill(ctx context.Context, cgroup string) error {
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		c.signal(cgroup)
		pids, err := c.Procs(cgroup)
		if err != nil {
			return err
		}
		// Those already dead wait for their parent, which may be our caller.
		if !slices.ContainsFunc(pids, alive) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("killing %s: %d processes left: %w", cgroup, len(pids), ctx.Err())
		case <-pause.C:
		}
	}
}

// signal kills what is there now. On cgroup2 the kernel does it at once, forks
// included; on v1 the freezer keeps the processes from forking away.
func (c Cgroups) signal(cgroup string) {
	if dir := c.Layout.Unified; dir != "" {
		// Kernels before 5.14 have no such file: the rest of this does it.
		_ = os.WriteFile(filepath.Join(dir, cgroup, "cgroup.kill"), []byte("1"), 0)
	}
	freezer, frozen := c.Layout.Controllers["freezer"]
	state := filepath.Join(freezer, cgroup, "freezer.state")
	if frozen {
		frozen = os.WriteFile(state, []byte("FROZEN"), 0) == nil
	}
	pids, _ := c.Procs(cgroup) // Kill asks again and reports
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	if frozen {
		_ = os.WriteFile(state, []byte("THAWED"), 0)
	}
}

// Procs lists the processes of a cgroup and of those below it, in any
// hierarchy.
func (c Cgroups) Procs(cgroup string) ([]int, error) {
	var pids []int
	for _, dir := range c.Layout.Dirs(cgroup) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return ignoreGone(err)
			}
			b, err := os.ReadFile(path)
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
			return ignoreGone(err)
		})
		if err != nil {
			return nil, fmt.Errorf("listing cgroup %s: %w", cgroup, err)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Remove removes an empty cgroup and those below it in every hierarchy, then
// its parent where nothing else is in it.
func (c Cgroups) Remove(cgroup string) error {
	var errs []error
	for _, dir := range c.Layout.Dirs(cgroup) {
		var below []string
		errs = append(errs, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, path)
			}
			return ignoreGone(err)
		}))
		for _, path := range slices.Backward(below) {
			errs = append(errs, ignoreGone(unix.Rmdir(path)))
		}
	}
	c.RemoveParent(filepath.Dir(cgroup))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing cgroup %s: %w", cgroup, err)
	}
	return nil
}

// RemoveParent removes a cgroup in the hierarchies in which it is empty.
func (c Cgroups) RemoveParent(cgroup string) {
	if cgroup == "/" || cgroup == "." {
		return
	}
	for _, dir := range c.Layout.Dirs(cgroup) {
		_ = unix.Rmdir(dir) // busy when it has others
	}
}

// ignoreGone hides that a cgroup or process went away while we looked.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The name is in parentheses and may contain any of these characters.
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	return ok && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// OutOfMemory reports whether the kernel has killed a process of a cgroup for
// want of memory.
func (c Cgroups) OutOfMemory(cgroup string) bool {
	file := filepath.Join(c.Layout.Unified, cgroup, "memory.events")
	if dir, v1 := c.Layout.Controllers["memory"]; v1 {
		file = filepath.Join(dir, cgroup, "memory.oom_control")
	}
	b, _ := os.ReadFile(file) // a cgroup that is gone tells nothing
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(n) != "0"
		}
	}
	return false
}
