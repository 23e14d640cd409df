// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"croft/sim/lab"
)

// TestRootAllocator has the auction of the examples allot a pool of a node, beside the
// mechanisms that it has by itself, until the auction is killed.
func TestRootAllocator(t *testing.T) {
	needLab(t)
	auction := service(t, "auction")
	l, _ := bringUp(t, lab.Config{N: 2})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmds := commands()
	cmds["round"] = func(ts *testscript.TestScript, neg bool, args []string) { // most of a round of the auction is still to come
		if neg || len(args) != 0 {
			ts.Fatalf("usage: round")
		}
		poll(t, 20*time.Second, often, "a round begins", func() bool { return time.Now().Unix()%10 < 3 })
	}
	setup := setUp(l, status)
	testscript.Run(t, testscript.Params{Files: []string{"testdata/role/auction.txtar"}, RequireUniqueNames: true, RequireExplicitExec: true, Cmds: cmds, Setup: func(e *testscript.Env) error {
		e.Setenv("AUCTION", auction)
		return setup(e)
	}})
}
