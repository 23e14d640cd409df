// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/sim/lab"
)

// swarmImage is the size of the image in bytes: seconds on a lab's links.
const swarmImage = 24 << 20

// TestRootSwarm has one image run on five nodes. Its owner, whose way in hosts nothing
// of it, sends it little more than once; one of the nodes is killed in the middle, and
// one that has it already has other bytes on its disk by now, which it passes on.
func TestRootSwarm(t *testing.T) {
	needLab(t)
	l, croft := bringUp(t, lab.Config{N: 6})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home, way := t.TempDir(), status.Nodes[0]
	program, digest := paddedProgram(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), croft, append([]string{"--socket", way.Socket, "--home", home}, args...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	last := ""
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	within(t, "all are found", func() bool {
		out, _ := run("find")
		for _, n := range status.Nodes {
			if !strings.Contains(out, n.Name) {
				last = out
				return false
			}
		}
		return true
	})
	rotten := status.Nodes[1]
	if out, err := run("run", "--cap", "5mbit,500pps", "--name", "first", "--where", "name="+rotten.Name, program, "--", "sleep", "600"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rot(t, filepath.Join(rotten.State, "images", "blobs", digest))
	if out, err := run("stop", "first"); err != nil { // of what one may have of the commons
		t.Fatalf("%v: %s", err, out)
	}

	victim := status.Nodes[2]
	before := sentBy(t, l, way.Name)
	done := make(chan string, 1)
	go func() {
		out, err := run("run", "-n", "5", "--partial", "--cap", "5mbit,500pps", "--name", "five", "--where", "name!="+way.Name, program, "--", "sleep", "600")
		done <- fmt.Sprintf("%v\n%s", err, out)
	}()
	arriving := filepath.Join(victim.State, "images", "partial", digest)
	within(t, "some of it is on its way", func() bool {
		st, err := os.Stat(arriving)
		return err == nil && st.Size() > 0
	})
	if err := l.Kill(t.Context(), victim.Name); err != nil {
		t.Fatal(err)
	}
	var out string
	select {
	case out = <-done:
	case <-time.After(3 * time.Minute):
		t.Fatal("it does not end")
	}
	sent := sentBy(t, l, way.Name) - before
	t.Logf("the owner's uplink sent %.2f copies for the nodes that had none", float64(sent)/swarmImage)
	if !strings.Contains(out, "running   4/") {
		t.Errorf("%s", out)
	}
	if sent < swarmImage || sent > swarmImage*5/2 {
		t.Errorf("%d bytes were sent, one copy has %d", sent, swarmImage)
	}
	lied := 0
	for i, n := range status.Nodes[1:] {
		blob, err := os.ReadFile(filepath.Join(n.State, "images", "blobs", digest))
		switch sum := fmt.Sprintf("%x", sha256.Sum256(blob)); {
		case n.Name == victim.Name:
			if err == nil {
				t.Error("who was killed in the middle has all of it")
			}
		case err != nil || (sum == digest) == (n.Name == rotten.Name):
			t.Errorf("node %d has %s, %v", i+1, sum, err)
		}
		log, err := os.ReadFile(n.Log)
		if err != nil {
			t.Fatal(err)
		}
		lied += bytes.Count(log, []byte("it lied"))
	}
	if lied != 0 { // who serves hashes each piece before it goes out
		t.Errorf("%d times somebody got what had rotted on a disk", lied)
	}

	// Who comes back goes on where it was.
	if err := l.Start(t.Context(), victim.Name); err != nil {
		t.Fatal(err)
	}
	within(t, "it is found again", func() bool {
		out, err := run("find", "name="+victim.Name)
		return err == nil && strings.Contains(out, victim.Name)
	})
	if out, err := run("stop", "five"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fills(t, run, croft, home, l, victim.Name)
	before = sentBy(t, l, way.Name)
	if out, err := run("run", "-n", "5", "--cap", "5mbit,500pps", "--rset", "flows.live=400", "--name", "again", "--where", "name!="+way.Name, program, "--", "sleep", "600"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if sent := sentBy(t, l, way.Name) - before; sent > swarmImage/2 {
		t.Errorf("%d bytes were sent of what the others have", sent)
	}
	if out := roleOf(t, l, croft, home, victim.Name); !regexp.MustCompile(`"tenant":"tracker@[^}]*"asked":[1-9][0-9]*,"failed":0`).MatchString(out) {
		t.Errorf("the tracker was not asked: %s", out)
	}
}

// fills has the tracker of the examples run on a node and fill the role images there.
func fills(t *testing.T, run func(...string) (string, error), croft, home string, l *lab.Lab, node string) {
	t.Helper()
	tracker := filepath.Join(t.TempDir(), "tracker")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", tracker, "../../examples/tracker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := run("run", "--cap", "5mbit,500pps", "--rset", "flows.live=400", "--name", "tracker", "--where", "name="+node, tracker); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	within(t, "the tracker serves", func() bool { return strings.Contains(roleOf(t, l, croft, home, node), `"here":true`) })
	socket := socketOf(t, l, node)
	for _, do := range []string{"try", "promote"} {
		if out, err := exec.CommandContext(t.Context(), croft, "--socket", socket, "--home", home, "role", do, "images", "tracker").CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", do, err, out)
		}
	}
}

// roleOf is who fills the role images on a node, as JSON.
func roleOf(t *testing.T, l *lab.Lab, croft, home, node string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), croft, "--socket", socketOf(t, l, node), "--home", home, "--json", "role", "show", "images").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, slices, _ := strings.Cut(string(out), `"tenant":"tracker`) // not what is built in
	return `"tenant":"tracker` + slices
}

func socketOf(t *testing.T, l *lab.Lab, node string) string {
	t.Helper()
	s, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.Socket
		}
	}
	t.Fatalf("no node %s", node)
	return ""
}

// paddedProgram is a static binary with as many bytes of noise after it.
func paddedProgram(t *testing.T) (path, digest string) {
	t.Helper()
	b, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, swarmImage-len(b))
	_, _ = rand.Read(noise)
	b = append(b, noise...)
	path = filepath.Join(t.TempDir(), "busybox")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path, fmt.Sprintf("%x", sha256.Sum256(b))
}

// rot changes a byte of each piece of a file.
func rot(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	for at := int64(100); at < swarmImage; at += 100 << 10 {
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0xff
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
}

// sentBy is how many bytes a node's link has sent.
func sentBy(t *testing.T, l *lab.Lab, node string) int64 {
	t.Helper()
	var out bytes.Buffer
	if _, err := l.Exec(t.Context(), node, []string{"cat", "/proc/self/net/dev"}, lab.IO{Out: &out}); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`eth0:((?:\s+\d+)+)`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("no eth0: %s", out.String())
	}
	n, err := strconv.ParseInt(strings.Fields(m[1])[8], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// within waits for what other processes do.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
