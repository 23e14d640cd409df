// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox/oci"
)

// requirement is one thing that hosting needs, and how to see whether it is there.
type requirement struct {
	name string
	need string // what is lost without it
	mend string // the command that mends it
	look func(cfg Config) (found string, err error)
}

// requirements in the order in which a person would mend them.
var requirements = []requirement{
	{"root", "slivers need namespaces, cgroups and eBPF", "run croft up as root",
		func(Config) (string, error) {
			return "uid " + fmt.Sprint(os.Geteuid()), want(os.Geteuid() == 0, "uid %d", os.Geteuid())
		}},
	{"kernel", "TCX, on which the guard sits, came with Linux 6.6", "boot a kernel of 6.6 or later",
		func(Config) (string, error) { return linux() }},
	{"runc", "slivers run under runc 1.2.8 or later (CVE-2025-31133, -52565)", "scripts/build-runc",
		func(cfg Config) (string, error) { return runtimeFound(cfg.Runtime) }},
	{"mkfs.ext4", "a sliver's writable layer is a file system of the leased size", "apt-get install e2fsprogs",
		func(Config) (string, error) { return onPath("mkfs.ext4") }},
	{"nft", "slivers' connections are translated and forwarded by nftables", "apt-get install nftables",
		func(Config) (string, error) { return onPath("nft") }},
	{"cgroups", "cpu, memory and pids are limited by cgroup controllers", "boot with cgroup controllers cpu, memory and pids",
		func(Config) (string, error) { return controllers() }},
	{"overlayfs", "a sliver's root is a read-only image under a private layer", "modprobe overlay",
		func(Config) (string, error) { return fileSystem("overlay") }},
	{"bpf file system", "limits are pinned, so that they outlive the daemon", "mount -t bpf bpf /sys/fs/bpf",
		func(Config) (string, error) { return bpffs() }},
	{"state directory", "what the node signed must survive it", "choose another with --state",
		func(cfg Config) (string, error) { return writable(cfg.State) }},
}

// Doctor looks at every requirement of hosting. It changes nothing.
func Doctor(cfg Config) []api.Check {
	checks := make([]api.Check, 0, len(requirements))
	for _, r := range requirements {
		found, err := r.look(cfg)
		c := api.Check{Name: r.name, OK: err == nil, Found: found}
		if err != nil {
			c.Found, c.Need, c.Mend = err.Error(), r.need, r.mend
		}
		checks = append(checks, c)
	}
	return checks
}

// missing lists, for a visitor, why it hosts nothing.
func missing(checks []api.Check) (why []string) {
	for _, c := range checks {
		if !c.OK {
			why = append(why, fmt.Sprintf("%s: %s; %s", c.Name, c.Found, c.Need))
		}
	}
	return why
}

func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func linux() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return "", fmt.Errorf("unknown release %q", release)
	}
	return "Linux " + release, want(major > 6 || major == 6 && minor >= 6, "Linux %s", release)
}

// FindRuntime returns the first runc that is new enough: the configured one, or
// one beside this binary or in its build directory, or on PATH.
func FindRuntime(configured string) (oci.Runc, error) {
	if configured != "" {
		return oci.Find(context.Background(), configured)
	}
	paths := []string{os.Getenv("CROFT_RUNC")}
	if self, err := os.Executable(); err == nil {
		paths = append(paths, filepath.Join(filepath.Dir(self), "runc"))
	}
	return oci.Find(context.Background(), paths...)
}

func runtimeFound(configured string) (string, error) {
	runc, err := FindRuntime(configured)
	if err != nil {
		return "", err
	}
	version, err := oci.Version(context.Background(), runc.Path)
	return version + " at " + runc.Path, err
}

func onPath(name string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("not on PATH")
}

func controllers() (string, error) {
	host, err := oci.HostCgroups()
	if err != nil {
		return "", err
	}
	return string(host.Layout.Mode), host.Layout.Check(lease.RSet{})
}

func fileSystem(name string) (string, error) {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return "", err
	}
	return name, want(strings.Contains(string(b), "\t"+name+"\n"), "%s is not in /proc/filesystems", name)
}

func bpffs() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/bpf", &st); err != nil {
		return "", fmt.Errorf("/sys/fs/bpf: %w", err)
	}
	if st.Type == unix.BPF_FS_MAGIC {
		return "/sys/fs/bpf", nil
	}
	if os.Geteuid() == 0 {
		return "not mounted yet; croft mounts it", nil
	}
	return "", fmt.Errorf("/sys/fs/bpf is not mounted")
}

func writable(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		err := unix.Access(d, unix.W_OK)
		if err == nil {
			var st unix.Statfs_t
			if err := unix.Statfs(d, &st); err != nil {
				return "", err
			}
			return fmt.Sprintf("%s, %d MiB free", dir, st.Bavail*uint64(st.Bsize)>>20), nil
		}
		if err != unix.ENOENT || d == "/" || d == "." {
			return "", fmt.Errorf("%s: %w", d, err)
		}
	}
}

// machine reads what this machine has.
func machine(dir string) (m Machine) {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = info.Totalram * uint64(info.Unit)
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		m.Disk = st.Bavail * uint64(st.Bsize)
	}
	return m
}

// release is the kernel's, such as 6.6.30-1-amd64; empty where it cannot be told.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
