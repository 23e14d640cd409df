// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/node/daemon"
	"croft/sim/lab"
)

// TestRootScripts plays sessions on one lab of three real nodes.
func TestRootScripts(t *testing.T) {
	needLab(t)
	l, _ := bringUp(t, lab.Config{N: 3})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	params := func(files ...string) testscript.Params {
		return testscript.Params{Files: files, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: commands(), Setup: setUp(l, status)}
	}
	for _, dir := range []string{"testdata/lab/*.txtar", "testdata/faults/*.txtar"} {
		files, err := filepath.Glob(dir)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no scripts, %v", dir, err)
		}
		if strings.HasPrefix(dir, "testdata/lab/") { // they do not disturb one another
			t.Run("calm", func(t *testing.T) { testscript.Run(t, params(files...)) })
			continue
		}
		for _, f := range files { // they do
			t.Run("fault", func(t *testing.T) { testscript.Run(t, params(f)) })
		}
	}
}

// setUp gives a script the lab: NODE1, SOCKET1, STATE1, ADDR1 … and OUTSIDE.
func setUp(l *lab.Lab, status lab.Status) func(*testscript.Env) error {
	return func(e *testscript.Env) error {
		e.Setenv("CROFT_LAB_DIR", l.Dir())
		for i, n := range status.Nodes {
			e.Setenv(fmt.Sprintf("NODE%d", i+1), n.Name)
			e.Setenv(fmt.Sprintf("SOCKET%d", i+1), n.Socket)
			e.Setenv(fmt.Sprintf("STATE%d", i+1), n.State)
			e.Setenv(fmt.Sprintf("ADDR%d", i+1), n.Address.String())
		}
		if err := clean(e); err != nil {
			return err
		}
		e.Setenv("CROFT_LAB_DIR", l.Dir())
		e.Setenv("CROFT_SOCKET", status.Nodes[0].Socket)
		e.Setenv("OUTSIDE", status.Outside.String())
		e.Setenv("CROFT_RUNC", os.Getenv("CROFT_RUNC"))
		e.Setenv("PROBE", "/bin/busybox")
		return nil
	}
}

// needLab skips where there is no root or no runtime, unless told that both are.
func needLab(t *testing.T) {
	t.Helper()
	if ours, err := filepath.Abs("../../build/runc"); err == nil && os.Getenv("CROFT_RUNC") == "" && exists(ours) {
		t.Setenv("CROFT_RUNC", ours)
	}
	if !exists("/bin/busybox") {
		t.Log("no /bin/busybox: apt-get install busybox-static")
	}
	var missing []string
	if _, err := exec.LookPath("tshark"); err != nil {
		missing = append(missing, "tshark: apt-get install --no-install-recommends tshark")
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
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

// build builds the binary into a directory that goes with the test.
func build(t *testing.T, tags ...string) string {
	t.Helper()
	croft := filepath.Join(t.TempDir(), "croft")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", strings.Join(tags, ","), "-o", croft, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building croft: %v\n%s", err, out)
	}
	return croft
}

// bringUp builds the binary, which daemons run and start again as wardens, and
// brings a lab up, of such nodes, that goes with the test. It returns the binary
// too.
func bringUp(t *testing.T, c lab.Config) (*lab.Lab, string) {
	t.Helper()
	croft := build(t)
	state := filepath.Join(filepath.Dir(croft), "lab")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := lab.Down(ctx, state, lab.DownOptions{Destroy: daemon.Wipe}); err != nil && !errors.Is(err, lab.ErrNoLab) {
			t.Errorf("taking the lab down: %v", err)
		}
	})
	c.Dir, c.Croft, c.Env = state, croft, os.Environ()
	c.Identity, c.Certify, c.Destroy = identity, certify, daemon.Wipe
	l, err := lab.Up(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return l, croft
}
