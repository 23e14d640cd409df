// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"croft/lease"
	"croft/sandbox"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func rset(t testing.TB, s string) lease.RSet {
	t.Helper()
	r, err := lease.ParseRSet(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func someSpec(t testing.TB) sandbox.Spec {
	return sandbox.Spec{
		Sliver: "abcdefghijklmnop", Slice: "probe@k3v5qaaa", Hostname: "probe-3", Place: 3,
		Program:  sandbox.Program{Kind: sandbox.Binary, Blob: lease.Digest{1}, Size: 10, Args: []string{"./probe", "-v"}, Env: []string{"A=b"}},
		RSet:     rset(t, "cpu=250 memory=64MiB disk=32MiB pids=32 io=1MiB"),
		NetNS:    "/run/netns/croft-k3v5qa-3",
		Resolver: netip.MustParseAddr("169.254.53.53"),
		Deadline: 1_000_000_000, Door: "/run/croft-k3v5qa/d/abcdefghijklmnop",
	}
}

func layout(t testing.TB, mode string) sandbox.Layout {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata", mode+name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return sandbox.ParseLayout(read(".mounts"), read(".controllers"))
}

// TestBundle pins what the runtime is told on each layout of cgroups, and
// without a writable layer, a network and a resolver.
func TestBundle(t *testing.T) {
	bare := someSpec(t)
	bare.RSet, bare.NetNS, bare.Resolver, bare.Door = rset(t, "cpu=10 memory=6MiB pids=8"), "", netip.Addr{}, ""
	bare.Program.Kind, bare.Program.Args, bare.Program.Cwd = sandbox.RootFS, []string{"sh"}, "/srv"
	for _, c := range []struct {
		golden, mode string
		spec         sandbox.Spec
	}{
		{"v1", "v1", someSpec(t)}, {"v2", "v2", someSpec(t)}, {"hybrid", "hybrid", someSpec(t)}, {"bare", "v2", bare},
	} {
		t.Run(c.golden, func(t *testing.T) {
			h := sandbox.Host{
				Layout: layout(t, c.mode), Arch: "amd64", Kernel: sandbox.KernelVersion{Major: 6, Minor: 18}, Tag: "k3v5qa",
				Root: "/run/croft-k3v5qa/abcdefghijklmnop/root", Files: "/var/lib/croft/slivers/abcdefghijklmnop/etc",
				Devices: []sandbox.Device{{Major: 7, Minor: 1}}, NoSwap: c.mode == "v1", Open: 1 << 20,
			}
			if err := c.spec.Check(); err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(sandbox.Bundle(c.spec, h), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "bundle-"+c.golden+".json", append(got, '\n'))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; look with -rewrite and git diff:\n%s", name, got)
	}
}

// TestFilterDenies checks the rendered filter, not our list: whatever Moby's
// profile turns into, these stay denied to a sliver.
func TestFilterDenies(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "riscv64", "s390x"} {
		b := sandbox.Bundle(someSpec(t), sandbox.Host{Arch: arch, Kernel: sandbox.KernelVersion{Major: 6, Minor: 18}})
		s := b.Linux.Seccomp
		if s.DefaultAction != specs.ActErrno || len(s.Architectures) == 0 {
			t.Fatalf("%s: default %s, architectures %v", arch, s.DefaultAction, s.Architectures)
		}
		allowed := map[string]bool{}
		for _, rule := range s.Syscalls {
			for _, name := range rule.Names {
				allowed[name] = allowed[name] || rule.Action == specs.ActAllow
			}
		}
		for _, name := range []string{"bpf", "unshare", "setns", "mount", "userfaultfd", "perf_event_open", "keyctl", "add_key",
			"request_key", "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "socketcall", "init_module", "open_by_handle_at"} {
			if allowed[name] {
				t.Errorf("%s: %s is allowed", arch, name)
			}
		}
		for _, name := range []string{"read", "execve", "futex", "socket", "clone", "epoll_pwait", "getrandom"} {
			if !allowed[name] {
				t.Errorf("%s: %s is denied", arch, name)
			}
		}
		// clone is allowed only under a mask that keeps namespaces out, and
		// socket only for named families.
		for _, rule := range s.Syscalls {
			for _, name := range []string{"clone", "socket"} {
				if slices.Contains(rule.Names, name) && rule.Action == specs.ActAllow && len(rule.Args) == 0 {
					t.Errorf("%s: %s is allowed with any arguments", arch, name)
				}
			}
		}
	}
}
