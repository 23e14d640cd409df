// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
)

// TestMain lets the test binary be the warden that a Runtime starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "warden" {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// need skips a test that needs root, runc, busybox and the rest; where
// CROFT_REQUIRE_ROOT=1 says that they are there, it fails instead.
func need(t testing.TB) (runc, busybox string) {
	t.Helper()
	miss := func(what string) {
		t.Helper()
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("needs ", what)
		}
		t.Skip("needs ", what)
	}
	if os.Geteuid() != 0 {
		miss("root")
	}
	found, err := oci.Find(t.Context(), os.Getenv("CROFT_RUNC"), filepath.Join("..", "..", "build", "runc"))
	if err != nil {
		miss(err.Error())
	}
	if runc, err = filepath.Abs(found.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := lookSbin("mke2fs"); err != nil {
		miss(err.Error())
	}
	for _, path := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if out, err := exec.Command(path, "--list").Output(); err == nil && strings.Contains(string(out), "unshare\n") {
			return runc, path
		}
	}
	miss("busybox-static")
	return "", ""
}

// bench is a node's worth of sandboxes for one test.
type bench struct {
	t       testing.TB
	tag     string
	config  Config
	rt      *Runtime
	cgroups oci.Cgroups
	rootfs  sandbox.Program // busybox with its commands
	binary  sandbox.Program // busybox alone
}

func newBench(t testing.TB) *bench {
	t.Helper()
	runc, busybox := need(t)
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	tag := []byte("t")
	for range 5 {
		tag = append(tag, letters[rand.IntN(len(letters))])
	}
	state := t.TempDir()
	images, err := image.Open(filepath.Join(state, "images"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cgroups, err := oci.HostCgroups()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, tag: string(tag), cgroups: cgroups, config: Config{
		State: state, Tag: string(tag), Runc: runc, Warden: []string{self, "warden"}, Images: images,
	}}
	blob, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	b.binary = sandbox.Program{Kind: sandbox.Binary, Args: []string{"busybox"}}
	b.put(&b.binary, blob)
	b.rootfs = sandbox.Program{Kind: sandbox.RootFS}
	b.put(&b.rootfs, busyboxTar(t, blob))
	b.open()
	// Runs before the state directory goes.
	t.Cleanup(b.clean)
	return b
}

func (b *bench) open() {
	b.t.Helper()
	rt, err := Open(context.Background(), b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.rt = rt
}

// clean removes every sliver and then checks that the kernel has nothing left.
func (b *bench) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := b.rt.List(ctx)
	if err != nil {
		b.t.Error(err)
	}
	for _, s := range list {
		if err := b.rt.Remove(ctx, s.Sliver); err != nil {
			b.t.Error(err)
		}
	}
	b.rt.Close()
	if left := b.left(); left != "" {
		b.t.Errorf("left behind:\n%s", left)
	}
}

// left lists what the kernel still has of this node.
func (b *bench) left() string {
	var left []string
	for _, dir := range b.cgroups.Layout.Dirs(sandbox.Parent(b.tag)) {
		if _, err := os.Stat(dir); err == nil {
			left = append(left, "cgroup "+dir)
		}
	}
	if _, err := os.Stat(runDir(b.tag)); err == nil {
		left = append(left, runDir(b.tag))
	}
	for _, file := range []string{"/proc/self/mountinfo"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, b.config.State) || strings.Contains(line, runDir(b.tag)) {
				left = append(left, "mount "+line)
			}
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, loop := range loops {
		text, _ := os.ReadFile(loop)
		if strings.Contains(string(text), b.config.State) {
			left = append(left, loop+" "+string(text))
		}
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		text, _ := os.ReadFile(p)
		if strings.Contains(string(text), filepath.Join(b.config.State, "slivers")) || strings.Contains(string(text), runDir(b.tag)) {
			left = append(left, p+" "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return strings.Join(left, "\n")
}

func (b *bench) put(p *sandbox.Program, blob []byte) {
	b.t.Helper()
	p.Blob, p.Size = sha256.Sum256(blob), int64(len(blob))
	images := b.config.Images
	if _, err := images.Begin(p.Blob, p.Size); err != nil {
		b.t.Fatal(err)
	}
	if _, err := images.Append(p.Blob, 0, blob); err != nil {
		b.t.Fatal(err)
	}
	if err := images.Finish(context.Background(), p.Blob); err != nil {
		b.t.Fatal(err)
	}
}

func busyboxTar(t testing.TB, busybox []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, nil)
	add(tar.Header{Typeflag: tar.TypeDir, Name: "./bin/", Mode: 0o755}, nil)
	add(tar.Header{Typeflag: tar.TypeReg, Name: "./bin/busybox", Mode: 0o755}, busybox)
	for _, name := range strings.Fields("sh cat dd echo env head id ls mkdir mount sleep stty test touch true unshare yes tail grep seq kill hostname") {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin/" + name, Linkname: "busybox"}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "./etc/owned", Mode: 0o600, Uid: 1000, Gid: 1000}, []byte("by a user\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// spec is a sliver that runs a shell script.
func (b *bench) spec(name, script string) sandbox.Spec {
	b.t.Helper()
	rset, err := lease.ParseRSet("cpu=500 memory=64MiB disk=8MiB pids=32")
	if err != nil {
		b.t.Fatal(err)
	}
	p := b.rootfs
	p.Args = []string{"/bin/sh", "-c", script}
	return sandbox.Spec{
		Sliver: name, Slice: "test@nobody", Hostname: name, Place: rand.IntN(1000), Program: p, RSet: rset,
		Deadline: bootNow() + int64(5*time.Minute),
	}
}

func (b *bench) start(s sandbox.Spec) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.rt.Start(ctx, s); err != nil {
		log, _ := os.ReadFile(b.rt.dir(s.Sliver).file("warden.log"))
		b.t.Fatalf("%v\n%s", err, log)
	}
}

// run runs a command in a sliver and returns its output and exit status.
func (b *bench) run(sliver string, args ...string) (string, int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	exit, err := b.rt.Exec(ctx, sliver, sandbox.Exec{Args: args}, sandbox.IO{Out: &out, Err: &out})
	if err != nil {
		b.t.Fatalf("%v: %v\n%s", args, err, out.String())
	}
	return out.String(), exit
}

// until waits for a state that satisfies ok, looking anew at each change.
func (b *bench) until(sliver string, ok func(sandbox.Status) bool) sandbox.Status {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	changes := b.rt.Watch(ctx)
	for {
		list, err := b.rt.List(ctx)
		if err != nil {
			b.t.Fatal(err)
		}
		last := fmt.Sprint(list)
		for _, s := range list {
			if s.Sliver == sliver && ok(s) {
				return s
			}
		}
		if _, open := <-changes; !open {
			b.t.Fatalf("sliver %s never got there; last seen: %s", sliver, last)
		}
	}
}

func (b *bench) logs(sliver string) string {
	b.t.Helper()
	var out bytes.Buffer
	if err := b.rt.Logs(context.Background(), sliver, sandbox.LogOptions{}, &out); err != nil {
		b.t.Fatal(err)
	}
	return out.String()
}
