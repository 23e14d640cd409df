// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"croft/ebpf/kernel"
	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
	"croft/sandbox/oci"
)

// findings is what was read of a machine: facts, no judgement. A field whose
// reading failed has an error beside it.
type findings struct {
	uid         int
	release     string        // of the kernel
	hook        kernel.Method // by which it takes a guard; root only
	hookErr     error
	runc        string // version and path
	runcErr     error
	tools       map[string]string // where each of them is; none: not on PATH
	cgroups     sandbox.Layout
	cgroupsErr  error
	fileSystems string // /proc/filesystems
	bpf         int64  // the kind of file system at /sys/fs/bpf
	bpfErr      error
	free        uint64 // bytes where the state directory is, or will be
	stateErr    error  // why nothing can be written there
}

// read looks at this machine. It changes nothing that stays.
func read(cfg Config) (f findings) {
	f.uid, f.release = os.Geteuid(), kernelRelease()
	if f.uid == 0 {
		f.hook, f.hookErr = kernel.FindMethod("")
	}
	f.runc, f.runcErr = runtimeFound(cfg.Runtime)
	f.tools = map[string]string{}
	for _, name := range []string{"mkfs.ext4", "nft"} {
		f.tools[name] = onPath(name)
	}
	var host oci.Cgroups
	host, f.cgroupsErr = oci.HostCgroups()
	f.cgroups = host.Layout
	b, _ := os.ReadFile("/proc/filesystems") // unread, it names none, and that is what is then told
	f.fileSystems = string(b)
	var st unix.Statfs_t
	f.bpfErr = unix.Statfs("/sys/fs/bpf", &st)
	f.bpf = st.Type
	f.free, f.stateErr = writable(cfg.State)
	return f
}

// requirement is one thing that hosting needs, and how to see in what was read
// whether it is there.
type requirement struct {
	name  string
	need  string // what is lost without it
	mend  string // the command that mends it
	judge func(f findings, cfg Config) (found string, err error)
}

// requirements in the order in which a person would mend them.
var requirements = []requirement{
	{"root", "slivers need namespaces, cgroups and eBPF", "run croft up as root",
		func(f findings, _ Config) (string, error) {
			return fmt.Sprintf("uid %d", f.uid), want(f.uid == 0, "uid %d", f.uid)
		}},
	{"kernel", "the guard sits on TCX (Linux 6.6) or clsact", "boot a kernel of 6.6 or later, or modprobe sch_ingress cls_bpf", linux},
	{"runc", "slivers run under runc 1.2.8 or later (CVE-2025-31133, -52565)", "scripts/build-runc",
		func(f findings, _ Config) (string, error) { return f.runc, f.runcErr }},
	{"mkfs.ext4", "a sliver's writable layer is a file system of the leased size", "apt-get install e2fsprogs", tool("mkfs.ext4")},
	{"nft", "slivers' connections are translated and forwarded by nftables", "apt-get install nftables", tool("nft")},
	{"cgroups", "cpu, memory and pids are limited by cgroup controllers", "boot with cgroup controllers cpu, memory and pids", controllers},
	{"overlayfs", "a sliver's root is a read-only image under a private layer", "modprobe overlay", fileSystem("overlay")},
	{"bpf file system", "limits are pinned, so that they outlive the daemon", "mount -t bpf bpf /sys/fs/bpf", bpffs},
	{"state directory", "what the node signed must survive it", "choose another with --state",
		func(f findings, cfg Config) (string, error) {
			return fmt.Sprintf("%s, %d MiB free", cfg.State, f.free>>20), f.stateErr
		}},
}

// Doctor looks at every requirement of hosting. It changes nothing.
func Doctor(cfg Config) []api.Check { return checked(read(cfg), cfg) }

// checked says of each requirement whether what was found meets it.
func checked(f findings, cfg Config) []api.Check {
	checks := make([]api.Check, 0, len(requirements))
	for _, r := range requirements {
		found, err := r.judge(f, cfg)
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

func linux(f findings, _ Config) (string, error) {
	if f.uid != 0 {
		return fmt.Sprintf("Linux %s; what it can do, only root can try", f.release), nil
	}
	return fmt.Sprintf("Linux %s, with %s", f.release, f.hook), want(f.hookErr == nil, "Linux %s: %v", f.release, f.hookErr)
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

func onPath(name string) string {
	for _, dir := range []string{"", "/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

func tool(name string) func(findings, Config) (string, error) {
	return func(f findings, _ Config) (string, error) {
		return f.tools[name], want(f.tools[name] != "", "not on PATH")
	}
}

func controllers(f findings, _ Config) (string, error) {
	if f.cgroupsErr != nil {
		return "", f.cgroupsErr
	}
	return string(f.cgroups.Mode), f.cgroups.Check(lease.RSet{})
}

func fileSystem(name string) func(findings, Config) (string, error) {
	return func(f findings, _ Config) (string, error) {
		return name, want(strings.Contains(f.fileSystems, "\t"+name+"\n"), "%s is not in /proc/filesystems", name)
	}
}

func bpffs(f findings, _ Config) (string, error) {
	switch {
	case f.bpfErr != nil:
		return "", fmt.Errorf("/sys/fs/bpf: %w", f.bpfErr)
	case f.bpf == unix.BPF_FS_MAGIC:
		return "/sys/fs/bpf", nil
	case !strings.Contains(f.fileSystems, "\tbpf\n"):
		return "", errors.New("the kernel has no bpf file system")
	case f.uid == 0:
		return "not mounted yet; croft mounts it", nil
	}
	return "", errors.New("/sys/fs/bpf is not mounted")
}

// writable returns the free bytes where dir is or will be, or why nothing can be
// written there.
func writable(dir string) (free uint64, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		err := unix.Access(d, unix.W_OK)
		if err == nil {
			var st unix.Statfs_t
			err := unix.Statfs(d, &st)
			return st.Bavail * uint64(st.Bsize), err
		}
		if err != unix.ENOENT || d == "/" || d == "." {
			return 0, fmt.Errorf("%s: %w", d, err)
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

// kernelRelease is the kernel's, such as 6.6.30-1-amd64; empty where it cannot be told.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
