// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/node/daemon"
)

// TestRootSoak is a short soak, so that `make soak` works when somebody wants it:
// a real daemon, slivers that come and go, every kind of traffic, and a verdict.
func TestRootSoak(t *testing.T) {
	needNode(t)
	if testing.Short() {
		t.Skip("half a minute of traffic")
	}
	dir := t.TempDir()
	var said strings.Builder
	s := &soak{span: 15 * time.Second, every: 5 * time.Second, slivers: 2, rate: 1500, log: &said}
	s.croft, s.lab = filepath.Join(dir, "croft"), filepath.Join(dir, "lab")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", s.croft, "croft/cmd/croft")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building croft: %v\n%s", err, out)
	}
	v, err := s.run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	v.print(&said)
	t.Log(said.String())
	if err := v.err(); err != nil {
		t.Error(err)
	}
	for _, r := range []ebpf.Reason{ebpf.ReasonMalformed, ebpf.ReasonProtocol, ebpf.ReasonSource, ebpf.ReasonHeader, ebpf.ReasonFragment,
		ebpf.ReasonClosed, ebpf.ReasonPackets, ebpf.ReasonBytes, ebpf.ReasonFlows} {
		if v.Total.Dropped[r] == 0 {
			t.Errorf("nothing was dropped for %s: that is not tested", r)
		}
	}
	if v.Asked.Who == 0 || v.Asked.Exact != v.Asked.Who || v.Asked.Top == 0 || v.Asked.Renewals == 0 || v.Asked.Came == 0 || v.Counted.Slivers != 13 {
		t.Errorf("asked %+v, counted %+v", v.Asked, v.Counted)
	}
	for _, pattern := range []string{"/run/netns/croft-" + s.node.tag + "*", "/sys/fs/bpf/croft-" + s.node.tag, s.lab} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// needNode skips a test where no node can host, unless the environment insists.
func needNode(t *testing.T) {
	t.Helper()
	if ours, err := filepath.Abs("../../build/runc"); err == nil && os.Getenv("CROFT_RUNC") == "" {
		if _, err := os.Stat(ours); err == nil {
			t.Setenv("CROFT_RUNC", ours)
		}
	}
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if _, err := os.Stat(busyboxPath); err != nil {
		missing = append(missing, "busybox-static")
	}
	for _, c := range daemon.Doctor(daemon.DefaultConfig()) {
		if !c.OK && c.Name != "state directory" {
			missing = append(missing, c.Name+": "+c.Need)
		}
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
		t.Fatal("CROFT_REQUIRE_ROOT=1, but this test lacks ", strings.Join(missing, "; "))
	}
	t.Skip("needs ", strings.Join(missing, "; "))
}
