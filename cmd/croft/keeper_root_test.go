// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// terms is how long a script waits for a lease to be renewed or a node to be given up:
// more than a term of the shortest.
const terms = 4 * time.Minute

// TestRootKeeper has a node keep a slice at strength while its owner is away: leases
// are renewed, a node that dies is replaced, by the built-in and by the keeper of the
// examples; and the grant's end ends it.
func TestRootKeeper(t *testing.T) {
	needLab(t)
	root, python := pythonRoot(t, "../../examples/keeper/keeper.py", "/keeper.py")
	l, _ := bringUp(t, lab.Config{N: 6})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmds := commands()
	cmds["away"] = func(ts *testscript.TestScript, neg bool, args []string) { // away|back NAME: a home that nobody can use meanwhile
		if neg || len(args) != 2 {
			ts.Fatalf("usage: away OLD NEW")
		}
		ts.Check(os.Rename(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
	}
	cmds["comes"] = func(ts *testscript.TestScript, neg bool, args []string) { // shows, for what takes a lease's term
		if neg || len(args) < 2 {
			ts.Fatalf("usage: comes PATTERN COMMAND…")
		}
		want, err := regexp.Compile(args[0])
		ts.Check(err)
		out := ""
		defer func() { ts.Logf("%s", out) }()
		poll(t, terms, 2*time.Second, args[0], func() bool {
			if ts.Exec(args[1], args[2:]...) != nil {
				return false
			}
			out = ts.ReadFile("stdout")
			return want.MatchString(out)
		})
	}
	setup := setUp(l, status)
	testscript.Run(t, testscript.Params{Files: []string{"testdata/role/keeper.txtar"}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: cmds, Setup: func(e *testscript.Env) error {
		e.Setenv("ROOT", root)
		e.Setenv("PYTHON", python)
		for i, n := range status.Nodes {
			e.Setenv("PRINCIPAL"+string(rune('1'+i)), n.Principal)
			e.Setenv("SHORT"+string(rune('1'+i)), n.Principal[:8])
		}
		return setup(e)
	}})
}
