// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"croft/sim/lab"
	simreport "croft/sim/report"
)

// One scenario is played in all worlds. What it expects holds in each, but for how long
// something takes in a lab: that is the machine's.
func TestRootSimWorlds(t *testing.T) {
	needLab(t)
	cmd, tmp := simRun(t, "three", "--world", "world,stack,lab", "--html", "three.html")
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	runs, bad := simreport.Read(bytes.NewReader(out))
	if bad != nil || len(runs) != 3 || cmd.ProcessState.ExitCode() > exitFailed {
		t.Fatalf("%v, %v\n%s\n%s", err, bad, out, &talk)
	}
	for _, r := range runs[:2] {
		if !r.OK() {
			t.Errorf("%s: %+v %+v", r.World, r.Expects, r.Safety)
		}
	}
	judged := 0
	for _, e := range runs[2].Expects {
		timed := e.Figure == "delivery" || e.Figure == "latejoin" || e.Figure == "topic" && e.Stat != "share" || e.Stat == "time"
		t.Logf("lab: %v %s: %s", e.OK, e.Expect, e.Got)
		if !timed {
			judged++
		}
		if !timed && !e.OK {
			t.Errorf("lab: %s: %s\n%+v", e.Expect, e.Got, runs[2].Slices)
		}
	}
	if judged < 3 {
		t.Errorf("only %d expectations are judged", judged)
	}
	for _, o := range simreport.Compare(runs) {
		t.Logf("%s: %+v", o.Figure, o.Distances[1:])
	}
	if page, err := os.ReadFile(filepath.Join(cmd.Dir, "three.html")); err != nil || !bytes.Contains(page, []byte("three, lab")) {
		t.Errorf("the page shows no lab: %v", err)
	}
	nothingLeft(t, tmp)
}

// Who is cut off hears nothing of the others while it lasts: of the six copies that
// three nodes owe one another four do not come.
func TestRootSimLabPartition(t *testing.T) {
	needLab(t)
	file := filepath.Join(t.TempDir(), "cut.sim")
	text := "nodes 3\nat 13s fault partition count=1 for=20s\nat 15s change\nend 36s\nexpect delivery share < 0.9\nexpect safety\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, tmp := simRun(t, file, "--world", "lab")
	var talk bytes.Buffer
	cmd.Stderr = &talk
	if out, err := cmd.Output(); err != nil {
		t.Errorf("%v\n%s\n%.2000s", err, &talk, out)
	}
	nothingLeft(t, tmp)
}

// Ctrl-C in the middle of a lab: a part of a report, and nothing left.
func TestRootSimLabInterrupted(t *testing.T) {
	needLab(t)
	cmd, tmp := simRun(t, "three", "--world", "lab")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick, over := time.NewTicker(50*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	var records []string
	for up := 0; up < 6; { // the last of the six daemons is up, and the run goes on
		sockets, _ := filepath.Glob(filepath.Join(tmp, "croft-lab*", "lab", "nodes", "*", "run", "croft.sock"))
		records, _ = filepath.Glob(filepath.Join(tmp, "croft-lab*", "lab", "lab.json"))
		up = len(sockets)
		select {
		case <-tick.C:
		case <-over:
			t.Error("the daemons do not come up")
			up = 6
		}
	}
	var record struct {
		Plan struct {
			Name string `json:"name"`
		} `json:"plan"`
	}
	for _, file := range records {
		if b, err := os.ReadFile(file); err != nil || json.Unmarshal(b, &record) != nil {
			t.Errorf("%v: %s", err, b)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var r simreport.Report
	if bad := json.Unmarshal(out.Bytes(), &r); bad != nil || cmd.ProcessState.ExitCode() != exitFailed || !r.Partial || len(r.Expects) > 0 {
		t.Errorf("%v, %v: %s", err, bad, &out)
	}
	nothingLeft(t, tmp)
	if names, err := lab.Names(); err != nil || record.Plan.Name == "" || slices.Contains(names, record.Plan.Name) {
		t.Errorf("namespaces of lab %q are left (%v)", record.Plan.Name, err)
	}
}

// simRun is a command that plays a scenario, and keeps its lab in a directory that
// is returned, whose path is short enough for sockets.
func simRun(t *testing.T, args ...string) (cmd *exec.Cmd, tmp string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "sim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd = exec.CommandContext(t.Context(), build(t), append([]string{"--json", "sim", "run"}, args...)...)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "TMPDIR="+tmp)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	return cmd, tmp
}

// nothingLeft looks for files, processes and mounts of a lab below a directory.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	if files, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(files) > 0 {
		t.Errorf("left are %v (%v)", files, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range append(lines, "/proc/self/mountinfo") {
		if b, err := os.ReadFile(line); err == nil && bytes.Contains(b, []byte(tmp+"/")) {
			t.Errorf("left in %s: %q", line, b)
		}
	}
}
