// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// interrupts: "interrupts REGEXP COMMAND…" starts a command, interrupts it as
// Ctrl-C would once a line of its output matches, and wants it to exit with 0.
func interrupts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupts REGEXP COMMAND…")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Env = os.Environ()
	for _, name := range []string{"PATH", "HOME", "CROFT_HOME", "CROFT_SOCKET", "CROFT_KEY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Dir, cmd.Stderr = ts.MkAbs("."), os.Stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	seen := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !seen && want.Match(lines.Bytes()) {
			seen = true
			ts.Check(cmd.Process.Signal(syscall.SIGINT))
		}
	}
	if err := cmd.Wait(); err != nil || !seen {
		ts.Fatalf("%v ended with %v; matched: %v", args[1:], err, seen)
	}
}

// signalDaemon: "daemon stop|cont NODE" freezes a node's daemon, or lets it go on.
func signalDaemon(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"stop": syscall.SIGSTOP, "cont": syscall.SIGCONT}
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: daemon stop|cont NODE")
	}
	if args[0] == "cont" { // it cannot be asked who it is
		pid, err := strconv.Atoi(ts.Getenv("STOPPED"))
		ts.Check(err)
		ts.Check(syscall.Kill(pid, syscall.SIGCONT))
		return
	}
	l, err := lab.Open(ts.Getenv("CROFT_LAB_DIR"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := l.Status(ctx)
	ts.Check(err)
	for _, n := range s.Nodes {
		if n.Name == args[1] && n.Pid != 0 {
			ts.Check(syscall.Kill(n.Pid, signals[args[0]]))
			ts.Setenv("STOPPED", strconv.Itoa(n.Pid))
			ts.Defer(func() { _ = syscall.Kill(n.Pid, syscall.SIGCONT) }) // it may have gone on, or gone
			return
		}
	}
	ts.Fatalf("no daemon of %s runs", args[1])
}
