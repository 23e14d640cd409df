// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// denied are system calls that no sliver needs and that kernels were broken
// through. Some are already absent from Moby's profile; naming them here keeps
// them out when that profile changes.
var denied = []string{
	"add_key", "keyctl", "request_key", // keyrings are not namespaced by uid range
	"bpf", "perf_event_open",
	"fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root", "umount", "umount2",
	"io_uring_enter", "io_uring_register", "io_uring_setup",
	"kexec_file_load", "kexec_load", "init_module", "finit_module", "delete_module",
	"setns", "unshare", // new namespaces give new capabilities over old code
	"userfaultfd", // stops the kernel in the middle of a copy
	"name_to_handle_at", "open_by_handle_at",
	"socketcall", // hides the address family from the filter; unused since Linux 4.3
}

// families are the socket address families of a sliver: unix, inet, inet6 and
// netlink. Every other one is code of the kernel that hardly anybody tests.
var families = []uint64{1, 2, 10, 16}

// machines names an architecture as Go, the profile's filters and the runtime do.
var machines = map[string]struct {
	native string
	arch   specs.Arch
}{
	"amd64":   {"amd64", specs.ArchX86_64},
	"arm64":   {"arm64", specs.ArchAARCH64},
	"riscv64": {"riscv64", specs.ArchRISCV64},
	"s390x":   {"s390x", specs.ArchS390X},
}

// filter renders Moby's default profile for a process without any capability,
// less [denied]. What it does not name fails with EPERM.
func filter(goarch string, kernel KernelVersion) *specs.LinuxSeccomp {
	profile := seccomp.DefaultProfile()
	machine := machines[goarch]
	out := &specs.LinuxSeccomp{DefaultAction: profile.DefaultAction, DefaultErrnoRet: profile.DefaultErrnoRet}
	for _, m := range profile.ArchMap {
		if m.Arch == machine.arch {
			out.Architectures = append([]specs.Arch{m.Arch}, m.SubArches...)
		}
	}
	for _, call := range profile.Syscalls {
		if !applies(call, machine.native, kernel) {
			continue
		}
		if slices.Equal(call.Names, []string{"socket"}) {
			continue // replaced by families
		}
		rule := call.LinuxSyscall
		if rule.Action == specs.ActAllow {
			rule.Names = slices.DeleteFunc(slices.Clone(rule.Names), func(n string) bool { return slices.Contains(denied, n) })
		}
		if len(rule.Names) > 0 {
			out.Syscalls = append(out.Syscalls, rule)
		}
	}
	for _, family := range families {
		out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{
			Names: []string{"socket"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: family, Op: specs.OpEqualTo}},
		})
	}
	return out
}

func applies(call *seccomp.Syscall, arch string, kernel KernelVersion) bool {
	if in := call.Includes; in != nil {
		if len(in.Caps) > 0 || len(in.Arches) > 0 && !slices.Contains(in.Arches, arch) ||
			in.MinKernel != nil && !kernel.atLeast(in.MinKernel) {
			return false
		}
	}
	if out := call.Excludes; out != nil {
		if slices.Contains(out.Arches, arch) || out.MinKernel != nil && kernel.atLeast(out.MinKernel) {
			return false
		}
	}
	return true
}

// KernelVersion is the first two numbers of a kernel's release.
type KernelVersion struct{ Major, Minor int }

func (k KernelVersion) atLeast(o *seccomp.KernelVersion) bool {
	return uint64(k.Major) > o.Kernel || uint64(k.Major) == o.Kernel && uint64(k.Minor) >= o.Major
}
