// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// TestRootShim runs one service that makes every call of package shim, in a sliver and
// on a desktop: testdata/shim/conform/main.go.
func TestRootShim(t *testing.T) {
	needLab(t)
	conform := filepath.Join(t.TempDir(), "conform")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", conform, "./"+"testdata/shim/conform")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, _ := bringUp(t, lab.Config{N: 2})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setup := setUp(l, status)
	testscript.Run(t, testscript.Params{Files: []string{"testdata/shim/conform.txtar"}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: commands(), Setup: func(e *testscript.Env) error {
		e.Setenv("CONFORM", conform)
		return setup(e)
	}})
}
