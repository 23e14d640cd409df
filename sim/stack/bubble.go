// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"flag"
	"os"
	"testing"
	"testing/synctest"
)

// Enter runs f in a bubble of virtual time and ends the process with what f returns;
// it never returns itself. Goroutines that f leaves behind end with the process. The
// bubble is the standard library's, which gives it to tests alone: so this looks like
// one.
func Enter(f func() int) {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil { // our own flags are no test's
		panic(err)
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "stack", F: func(t *testing.T) {
		synctest.Test(t, func(*testing.T) { os.Exit(f()) })
	}}}, nil, nil)
	os.Exit(1) // the bubble broke, and has said why
}
