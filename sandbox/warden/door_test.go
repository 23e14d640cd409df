// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"croft/sandbox"
)

// A sliver sees what the node makes in its door's directory, also what comes
// later, and can change nothing of it.
func TestRootDoorIsTheNodes(t *testing.T) {
	b := newBench(t)
	dir, err := os.MkdirTemp("", "door") // short: a socket's path has a bound
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	socket := func() {
		t.Helper()
		path := filepath.Join(dir, "node.sock")
		_ = os.Remove(path)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	socket()
	s := b.spec("door", "sleep 1000")
	s.Door = dir
	b.start(s)
	for _, c := range []struct {
		name, script string
		exit         int
	}{
		{"there", "test -S " + sandbox.DoorAt + "/node.sock", 0},
		{"nothing made", "echo x > " + sandbox.DoorAt + "/x", 1},
		{"nothing removed", "rm " + sandbox.DoorAt + "/node.sock", 1},
		{"nothing renamed", "mv " + sandbox.DoorAt + "/node.sock " + sandbox.DoorAt + "/a", 1},
		{"nobody kept out", "chmod 0 " + sandbox.DoorAt + "/node.sock", 1},
		{"nothing over it", "mount -t tmpfs x " + sandbox.DoorAt, 1},
		{"not taken away", "mv " + sandbox.DoorAt + " /run/away", 1},
	} {
		if out, exit := b.run(s.Sliver, "/bin/sh", "-c", c.script); exit != c.exit {
			t.Errorf("%s: exit %d, %q", c.name, exit, out)
		}
	}
	seen := func(want int) {
		t.Helper()
		if out, exit := b.run(s.Sliver, "/bin/sh", "-c", "test -S "+sandbox.DoorAt+"/node.sock"); exit != want {
			t.Errorf("socket seen: exit %d, want %d: %q", exit, want, out)
		}
	}
	if err := os.Remove(filepath.Join(dir, "node.sock")); err != nil {
		t.Fatal(err)
	}
	seen(1)
	socket() // as a later daemon does
	seen(0)
}
