// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"path"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"croft/lease"
)

// Host is what [Bundle] must know of the machine.
type Host struct {
	Layout  Layout
	Arch    string // as in GOARCH
	Kernel  KernelVersion
	Tag     string
	Root    string   // the sliver's root as mounted on the node, owned by its uid range
	Files   string   // the node-made directory with hosts, hostname and resolv.conf
	Devices []Device // block devices that carry the sliver's files
	NoSwap  bool     // the kernel does not account for swap
	Open    uint64   // files that a process of the node may open; a sliver gets no more
}

// Device is the number of a block device.
type Device struct{ Major, Minor int64 }

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Bundle renders the OCI runtime configuration of a sliver.
func Bundle(s Spec, h Host) *specs.Spec {
	base := UIDBase(s.Place)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: base, Size: UIDs}}
	network := specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: s.NetNS}
	return &specs.Spec{
		Version:  "1.2.0",
		Hostname: s.Hostname,
		// Without a leased disk there is nothing that a write could be charged to.
		Root:    &specs.Root{Path: h.Root, Readonly: s.RSet[lease.Disk] == 0},
		Process: Process(s, h),
		Mounts:  mounts(s.RSet[lease.Memory], h.Files, s.Door),
		Annotations: map[string]string{
			"croft.sliver": s.Sliver,
			"croft.slice":  s.Slice,
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.MountNamespace}, {Type: specs.CgroupNamespace}, {Type: specs.UserNamespace}, network,
			},
			UIDMappings:       ids,
			GIDMappings:       ids,
			CgroupsPath:       Cgroup(h.Tag, s.Sliver),
			Resources:         Resources(s.RSet, h),
			RootfsPropagation: "private",
			Seccomp:           filter(h.Arch, h.Kernel),
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/kmsg",
				"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

// Process renders the first process of a sliver: user 0 of its own range,
// without any capability and without a way to get one.
func Process(s Spec, h Host) *specs.Process {
	files := min(h.Open, MaxFiles)
	args := append([]string(nil), s.Program.Args...)
	if s.Program.Kind == Binary && len(args) > 0 {
		args[0] = "/bin/" + s.Program.BinaryName()
	}
	cwd := s.Program.Cwd
	if cwd == "" {
		cwd = "/"
	}
	env := append([]string{searchPath, "HOME=/root", "CROFT_SLIVER=" + s.Sliver, "CROFT_SLICE=" + s.Slice}, s.Program.Env...)
	return &specs.Process{
		Args: args,
		Env:  env,
		Cwd:  cwd,
		// Sets of capabilities that are present and empty, not absent: a
		// runtime may give absent ones a default.
		Capabilities:    &specs.LinuxCapabilities{Bounding: []string{}, Effective: []string{}, Permitted: []string{}},
		NoNewPrivileges: true,
		Rlimits: []specs.POSIXRlimit{
			{Type: "RLIMIT_CORE", Hard: 0, Soft: 0},
			{Type: "RLIMIT_NOFILE", Hard: files, Soft: min(files, 1024)},
		},
	}
}

// mounts lists the file systems of a sliver. There is no /sys of the kernel: it
// cannot be mounted over a network namespace that the node owns, and a bind of
// the node's would show the node.
func mounts(memory uint64, files, door string) []specs.Mount {
	tmpfs := func(at, mode string, size uint64, more ...string) specs.Mount {
		opts := append([]string{"nosuid", "nodev", "mode=" + mode, "size=" + strconv.FormatUint(size, 10)}, more...)
		return specs.Mount{Destination: at, Type: "tmpfs", Source: "tmpfs", Options: opts}
	}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		// The runtime makes device nodes; on a file system of their own they
		// cannot land in the root and stop the next start.
		tmpfs("/dev", "755", 64<<10, "strictatime", "noexec"),
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		tmpfs("/dev/shm", "1777", memory/2, "noexec"),
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		tmpfs("/sys", "555", 4<<10, "noexec", "ro"),
		// Pages of a tmpfs are charged to the sliver's memory; half of it
		// leaves room to run.
		tmpfs("/tmp", "1777", memory/2),
		tmpfs("/run", "755", memory/4),
	}
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		list = append(list, specs.Mount{
			Destination: "/etc/" + name, Type: "bind", Source: path.Join(files, name),
			Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"},
		})
	}
	if door != "" {
		list = append(list, specs.Mount{Destination: DoorAt, Type: "bind", Source: door, Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"}})
	}
	return list
}

// Resources renders the limits that the cgroups hold; it is also what an
// extension of the lease applies to a running sliver.
func Resources(r lease.RSet, h Host) *specs.LinuxResources {
	const period = 100_000 // µs, the kernel's default
	period64 := uint64(period)
	quota := int64(r[lease.CPU] * (period / 1000))
	memory := int64(r[lease.Memory])
	pids := int64(r[lease.Pids])
	out := &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
		CPU:     &specs.LinuxCPU{Quota: &quota, Period: &period64},
		Memory:  &specs.LinuxMemory{Limit: &memory},
		Pids:    &specs.LinuxPids{Limit: &pids},
	}
	if !h.NoSwap {
		out.Memory.Swap = &memory // memory and swap together: so no swap
	}
	if rate := r[lease.IO]; rate > 0 && len(h.Devices) > 0 {
		io := &specs.LinuxBlockIO{}
		for _, d := range h.Devices {
			t := specs.LinuxThrottleDevice{Rate: rate}
			t.Major, t.Minor = d.Major, d.Minor
			io.ThrottleReadBpsDevice = append(io.ThrottleReadBpsDevice, t)
			io.ThrottleWriteBpsDevice = append(io.ThrottleWriteBpsDevice, t)
		}
		out.BlockIO = io
	}
	return out
}

// Files renders the node-made files of a sliver's /etc by name.
func Files(s Spec) map[string]string {
	files := map[string]string{
		"hostname":    s.Hostname + "\n",
		"hosts":       fmt.Sprintf("127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 %s\n", s.Hostname),
		"resolv.conf": "",
	}
	if s.Resolver.IsValid() {
		files["resolv.conf"] = fmt.Sprintf("nameserver %s\noptions timeout:2 attempts:2\n", s.Resolver)
	}
	return files
}
