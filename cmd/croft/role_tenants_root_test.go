// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// TestRootTenants hands the other roles of a node over to the tenants of the examples,
// one after another, and back; and then has the one who founded the network stop for good.
func TestRootTenants(t *testing.T) {
	needLab(t)
	names, python := pythonRoot(t, "../../examples/names/names.py", "/names.py")
	monitor, _ := pythonRoot(t, "../../examples/monitor/monitor.py", "/monitor.py")
	topology, bootstrap, packets, updates := service(t, "topology"), service(t, "bootstrap"), service(t, "packets"), service(t, "updates")
	l, _ := bringUp(t, lab.Config{N: 4})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmds := commands()
	cmds["write"] = func(ts *testscript.TestScript, neg bool, args []string) { // a file of lines
		if neg || len(args) < 2 {
			ts.Fatalf("usage: write FILE LINE…")
		}
		ts.Check(os.MkdirAll(filepath.Dir(args[0]), 0o700))
		ts.Check(os.WriteFile(args[0], []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
	}
	cmds["gone"] = func(ts *testscript.TestScript, neg bool, args []string) { // what a command prints no more, in time
		if neg || len(args) < 2 {
			ts.Fatalf("usage: gone WORD COMMAND [ARGUMENT…]")
		}
		poll(t, time.Minute, often, args[0]+" is gone", func() bool {
			if ts.Exec(args[1], args[2:]...) != nil {
				return false
			}
			return !bytes.Contains([]byte(ts.ReadFile("stdout")), []byte(args[0]))
		})
	}
	calm, err := filepath.Abs("../../examples/packets/bpf/calm.o")
	if err != nil {
		t.Fatal(err)
	}
	setup := setUp(l, status)
	play := func(file string) {
		t.Run("one after the other", func(t *testing.T) {
			testscript.Run(t, testscript.Params{Files: []string{file}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: cmds, Setup: func(e *testscript.Env) error {
				e.Setenv("NAMES", names)
				e.Setenv("MONITOR", monitor)
				e.Setenv("TOPOLOGY", topology)
				e.Setenv("BOOTSTRAP", bootstrap)
				e.Setenv("PACKETS", packets)
				e.Setenv("CALM", calm)
				e.Setenv("UPDATES", updates)
				e.Setenv("PRINCIPAL2", status.Nodes[1].Principal)
				e.Setenv("PRINCIPAL4", status.Nodes[3].Principal)
				e.Setenv("PYTHON", python)
				return setup(e)
			}})
		})
	}
	play("testdata/role/tenants.txtar")
	play("testdata/role/packets.txtar")
	play("testdata/role/obsolescence.txtar")
}

// service builds a service of the examples, as one static binary.
func service(t *testing.T, name string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", at, "croft/examples/"+name)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", name, err, out)
	}
	return at
}
