// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"croft/lease/sign"
	"croft/node/desk"
)

func (a *app) desk() *cobra.Command {
	c := &cobra.Command{
		Use: "desk SLICE -- COMMAND [ARG…]", Short: "Run a service on this machine as if in a sliver of your slice", Args: cobra.MinimumNArgs(2),
		Long: `Run a command with a socket in CROFT_SOCKET that answers as the one in a sliver does:
what it publishes, hears and asks goes through the node behind --socket, which may be a
visitor, and is signed with your key. It has no lease and no limits, and cannot serve a
role. Ctrl-C gives the command 5 s to end, in which it is answered still. The exit
code is 1 if the command's is not 0.`,
		Example: "  croft desk pulse -- ./pulse -every 2s",
		RunE: func(cmd *cobra.Command, args []string) error {
			label, err := ownLabel(args[0])
			if err != nil {
				return err
			}
			if label == "" {
				return usage("such as `croft desk pulse -- ./pulse`", "the service is of one slice")
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			return a.atDesk(cmd.Context(), key, label, args[1:])
		},
	}
	return c
}

// deskGrace is how long a service has to end after Ctrl-C.
const deskGrace = 5 * time.Second

// atDesk runs a command beside a desk.
func (a *app) atDesk(ctx context.Context, key *sign.Key, label string, args []string) (err error) {
	dir, err := os.MkdirTemp("", "croft-desk-") // of nobody else; short, as a socket's path must be
	if err != nil {
		return fmt.Errorf("making a place for the socket: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "node.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("making the socket: %w", err)
	}
	during, stop := context.WithCancel(context.WithoutCancel(ctx)) // to the command's end
	served := make(chan error, 1)
	d := &desk.Desk{Way: a.way(), Key: key, Label: label}
	go func() { served <- d.Serve(during, l) }()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	cmd.Env = append(os.Environ(), "CROFT_SOCKET="+path)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = deskGrace
	ran := cmd.Run()
	stop()
	var exit *exec.ExitError
	switch err := <-served; {
	case errors.As(ran, &exit) && ctx.Err() == nil:
		return fail(exitFailed, "", "%s: %w", args[0], ran)
	case ran != nil && ctx.Err() == nil:
		return usage("is it there?", "%w", ran)
	default:
		return err
	}
}
