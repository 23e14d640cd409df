// SPDX-License-Identifier: Apache-2.0

// Command croft is all of Croft in one binary: the daemon, the command line of
// those who lease, and the small processes that the daemon starts of itself.
//
//	croft up                        join, and offer what this machine can spare
//	croft run -n 3 ./probe          lease shares of three nodes and run a program
//	croft help                      everything else
//
// The command line talks to the node behind a unix socket, its way in, and
// through it end to end to every node that it leases from. The key that signs
// stays in this process.
//
// stdout is the result, stderr the talk. Exit codes are in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	programs "croft/ebpf/verdict"
	"croft/sandbox/warden"
	"croft/sim/lab"
	"croft/sim/stack"
)

func main() {
	// The daemon, the lab and the stack start this binary again as a process of its
	// own: no flags are parsed there.
	switch args := os.Args[1:]; {
	case len(args) > 0 && args[0] == "warden":
		os.Exit(warden.Main(args[1:]))
	case len(args) == 1 && args[0] == programs.Command:
		os.Exit(programs.Main())
	case len(args) > 2 && args[0] == "lab" && args[1] == "relay":
		os.Exit(lab.RelayMain(args[2:]))
	case len(args) == 4 && args[0] == "sim" && args[1] == "child":
		stack.Main(args[2:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
