// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"croft/sim/lab"
)

// TestRootRoles hands discovery over to the finder of the examples, which runs in a
// slice like any other, and back, until a node has no other.
func TestRootRoles(t *testing.T) {
	needLab(t)
	finder := fmt.Sprintf("/finder-%d.py", os.Getpid())
	root, python := pythonRoot(t, "../../examples/finder/finder.py", finder)
	without := build(t, "no_builtin_discovery")
	l, croft := bringUp(t, lab.Config{N: 2})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmds := commands()
	cmds["signals"] = func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: signals NAME ARGUMENT")
		}
		ts.Check(signalTo(unix.SignalNum(args[0]), args[1]))
	}
	cmds["without"] = func(ts *testscript.TestScript, neg bool, args []string) { // daemons that start from now on
		ts.Check(os.Rename(without, croft))
	}
	setup := setUp(l, status)
	testscript.Run(t, testscript.Params{Files: []string{"testdata/role/finder.txtar"}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: cmds, Setup: func(e *testscript.Env) error {
		e.Setenv("ROOT", root)
		e.Setenv("PYTHON", python)
		e.Setenv("FINDER", finder)
		return setup(e)
	}})
}

// signalTo sends a signal to the one process that has an argument.
func signalTo(sig unix.Signal, argument string) error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	var found []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(b), "\x00")
		if slices.Contains(args, argument) && strings.Contains(args[0], "python") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			found = append(found, pid)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%d processes have the argument %s", len(found), argument)
	}
	return unix.Kill(found[0], sig)
}

// pythonRoot packs this machine's python3, with what a program imports of its library
// and the program at a path, as a root file system. It returns the tar and the path of
// python3 within.
func pythonRoot(t *testing.T, program, at string) (root, python string) {
	t.Helper()
	const probe = `import sys, os, json
sys.argv = ["x"]; sys.path.insert(0, sys.argv[0])
exec(compile(open(%q).read(), "program", "exec"), {"__name__": "imported"})
import encodings.utf_8, encodings.ascii, encodings.idna, encodings.latin_1
files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
enc = os.path.dirname(encodings.__file__)
files += [os.path.join(enc, f) for f in os.listdir(enc) if f.endswith(".py")]
print(json.dumps({"exe": os.path.realpath(sys.executable), "files": sorted(set(files)), "home": [sys.base_prefix, sys.base_exec_prefix], "stdlib": os.path.dirname(os.__file__)}))`
	out, err := exec.CommandContext(t.Context(), "python3", "-I", "-c", fmt.Sprintf(probe, program)).Output()
	if err != nil {
		t.Fatalf("looking what python3 needs: %v", err)
	}
	var need struct {
		Exe, Stdlib string
		Files, Home []string
	}
	if err := json.Unmarshal(out, &need); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := append(need.Files, need.Exe)
	for _, f := range slices.Clone(files) {
		if strings.HasSuffix(f, ".py") {
			continue
		}
		libs, _ := exec.CommandContext(t.Context(), "ldd", f).Output() // a static one has none
		for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllSubmatch(libs, -1) {
			files = append(files, string(m[1]))
		}
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "root")
	slices.Sort(files)
	for _, f := range slices.Compact(files) {
		put(t, f, filepath.Join(tree, f))
	}
	put(t, program, filepath.Join(tree, at))
	if err := os.MkdirAll(filepath.Join(tree, need.Stdlib, "lib-dynload"), 0o755); err != nil { // a landmark
		t.Fatal(err)
	}
	for _, d := range []string{"proc", "sys", "dev", "run", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root = filepath.Join(dir, "python.tar")
	if out, err := exec.CommandContext(t.Context(), "tar", "-C", tree, "--owner=0", "--group=0", "-cf", root, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	return root, need.Exe
}

func put(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}
