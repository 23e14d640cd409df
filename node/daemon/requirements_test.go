// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"croft/ebpf/kernel"
	"croft/sandbox"
)

// wellEquipped is a machine on which nothing is missing.
func wellEquipped() findings {
	return findings{
		uid: 0, release: "6.6.0", hook: kernel.TCX, runc: "1.2.8 at /usr/bin/runc",
		tools: map[string]string{"mkfs.ext4": "/sbin/mkfs.ext4", "nft": "/usr/sbin/nft"},
		cgroups: sandbox.ParseLayout("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
			"cpu io memory pids\n"),
		fileSystems: "nodev\toverlay\nnodev\tbpf\n", bpf: unix.BPF_FS_MAGIC, free: 1 << 30,
	}
}

// Each machine lacks one thing: exactly that is told, with what it is for and
// how to mend it, and the node is a visitor; or nothing is.
func TestWhatAMachineLacksIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		lacks string // the requirement, and a part of what was found
		found string
		spoil func(f *findings)
	}{
		{"nothing", "", "", func(*findings) {}},
		{"a later kernel", "", "", func(f *findings) { f.release = "7.0.3-generic" }},
		{"a bpf file system that is not mounted yet", "", "", func(f *findings) { f.bpf = unix.TMPFS_MAGIC }},
		{"another user", "root", "uid 1000", func(f *findings) { f.uid = 1000 }},
		{"an older kernel that has clsact", "", "", func(f *findings) { f.release, f.hook = "6.5.13", kernel.Clsact }},
		{"a kernel without either", "kernel", "Linux 6.5.13: a place", func(f *findings) {
			f.release, f.hookErr = "6.5.13", &kernel.FeatureError{Feature: "a place for the guard", Need: "Linux 6.6", Err: unix.ENOENT}
		}},
		{"a new kernel that lets nobody load eBPF", "kernel", "not permitted", func(f *findings) { f.hookErr = kernel.ErrPrivilege }},
		{"no runc", "runc", "scripts/build-runc", func(f *findings) {
			f.runc, f.runcErr = "", &sandbox.Missing{Feature: "runc", Needs: "scripts/build-runc makes one"}
		}},
		{"no mkfs", "mkfs.ext4", "not on PATH", func(f *findings) { f.tools["mkfs.ext4"] = "" }},
		{"no nft", "nft", "not on PATH", func(f *findings) { delete(f.tools, "nft") }},
		{"no cgroups", "cgroups", "a cgroup file system", func(f *findings) { f.cgroups = sandbox.ParseLayout("", "") }},
		{"no pids controller", "cgroups", "controller pids", func(f *findings) {
			f.cgroups = sandbox.ParseLayout("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpu memory")
		}},
		{"unreadable cgroups", "cgroups", "permission", func(f *findings) { f.cgroupsErr = unix.EACCES }},
		{"no overlay", "overlayfs", "overlay", func(f *findings) { f.fileSystems = "nodev\toverlayfs2\nnodev\tbpf\n" }},
		{"no /sys/fs/bpf", "bpf file system", "no such file", func(f *findings) { f.bpfErr = unix.ENOENT }},
		{"a kernel without bpffs", "bpf file system", "the kernel has no", func(f *findings) {
			f.bpf, f.fileSystems = unix.TMPFS_MAGIC, "nodev\toverlay\n"
		}},
		{"a read-only state directory", "state directory", "read-only", func(f *findings) { f.stateErr = unix.EROFS }},
	} {
		f := wellEquipped()
		c.spoil(&f)
		var lacks []string
		for _, check := range checked(f, Config{State: "/var/lib/croft"}) {
			switch {
			case check.Found == "":
				t.Errorf("%s: %s was found to be nothing", c.name, check.Name)
			case check.OK:
				continue
			case check.Need == "" || check.Mend == "":
				t.Errorf("%s: %s says neither why nor how: %+v", c.name, check.Name, check)
			case !strings.Contains(check.Found, c.found):
				t.Errorf("%s: found %q, want %q", c.name, check.Found, c.found)
			}
			lacks = append(lacks, check.Name)
		}
		if got := strings.Join(lacks, ", "); got != c.lacks {
			t.Errorf("%s: %q is told to be missing, want %q", c.name, got, c.lacks)
		}
		if why := missing(checked(f, Config{})); len(why) != len(lacks) {
			t.Errorf("%s: a visitor says %q", c.name, why)
		}
	}
}

// Without root, what only root can mount is missing too: two lines, both true.
func TestNobodyMountsWithoutRoot(t *testing.T) {
	f := wellEquipped()
	f.uid, f.bpf = 1000, unix.TMPFS_MAGIC
	why := missing(checked(f, Config{}))
	if len(why) != 2 || !strings.HasPrefix(why[0], "root: uid 1000") || !strings.HasPrefix(why[1], "bpf file system: /sys/fs/bpf is not mounted") {
		t.Errorf("got %q", why)
	}
}

// A state directory that is not there yet is fine, one that cannot be is not; and
// what is read of the machine at hand is judged whole.
func TestTheStateDirectoryIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	if free, err := writable(dir + "/not/yet"); err != nil || free == 0 {
		t.Errorf("a directory to be made: %d, %v", free, err)
	}
	file := dir + "/file"
	if fd, err := unix.Open(file, unix.O_CREAT|unix.O_WRONLY, 0o600); err != nil {
		t.Fatal(err)
	} else {
		unix.Close(fd)
	}
	if _, err := writable(file + "/below"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if got := len(Doctor(Config{State: dir})); got != len(requirements) {
		t.Errorf("%d checks", got)
	}
}
