// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
)

// BenchmarkRootStart is a sliver from nothing to running; the ratio to
// BenchmarkRootBareRunc is what counts.
func BenchmarkRootStart(b *testing.B) {
	bench := newBench(b)
	ctx := context.Background()
	warm := bench.spec("warm", "exec sleep 1000") // unpacks the image
	bench.start(warm)
	for i := 0; b.Loop(); i++ {
		s := bench.spec(fmt.Sprintf("s%d", i), "exec sleep 1000")
		if err := bench.rt.Start(ctx, s); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := bench.rt.Remove(ctx, s.Sliver); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkRootBareRunc is the runtime's create and start of the same bundle,
// without warden, layer and status.
func BenchmarkRootBareRunc(b *testing.B) {
	bench := newBench(b)
	ctx := context.Background()
	s := bench.spec("bare", "exec sleep 1000")
	s.RSet[lease.Disk] = 0
	root, err := bench.config.Images.Root(ctx, s.Program, sandbox.UIDBase(s.Place))
	if err != nil {
		b.Fatal(err)
	}
	at := mountDir(bench.tag, s.Sliver)
	if err := makeMountDir(bench.tag, s.Sliver); err != nil {
		b.Fatal(err)
	}
	defer removeMountDir(bench.tag, s.Sliver)
	if err := image.Mount(root.Path, at, sandbox.UIDBase(s.Place)); err != nil {
		b.Fatal(err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	dir := b.TempDir()
	host := bench.cgroups.Host(bench.tag)
	host.Root, host.Files = at, dir
	spec := sandbox.Bundle(s, host)
	spec.Mounts = spec.Mounts[:len(spec.Mounts)-3] // the root has no files to put the node's on
	config, err := json.Marshal(spec)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	runc := bench.rt.runc
	for b.Loop() {
		err := runc.Create(ctx, oci.Create{ID: "bare", Bundle: dir, PidFile: filepath.Join(dir, "pid"), Stdout: null, Stderr: null})
		if err == nil {
			err = runc.Start(ctx, "bare")
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := runc.Delete(ctx, "bare"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	if err := bench.cgroups.Remove(sandbox.Cgroup(bench.tag, "bare")); err != nil {
		b.Error(err)
	}
}
