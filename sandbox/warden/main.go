// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"croft/sandbox"
	"croft/sandbox/oci"
)

// Descriptors that a Runtime gives to a new warden.
const (
	hostMountsFD = 3 // the mount namespace outside, for what is run when the sliver is gone
	readyFD      = 4 // a pipe for one reply: the sliver runs, or why not
)

// Main is the program of a warden; its one argument is the sliver's directory.
// It is started by a [Runtime] only, and returns the process's exit status.
func Main(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: croft warden DIRECTORY (run by the daemon)")
		return 2
	}
	ready := os.NewFile(readyFD, "ready")
	unix.CloseOnExec(hostMountsFD)
	unix.CloseOnExec(readyFD)
	w, err := prepare(dir(args[0]))
	if err == nil {
		err = w.start()
	}
	answer, _ := json.Marshal(reply{Error: toFailure(err)}) // a reply of strings always encodes
	if ready != nil {
		_, _ = ready.Write(answer) // the daemon may be dead: the sliver lives on
		ready.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	w.mind()
	return 0
}

// prepare takes the directory and makes this process fit to be a parent.
func prepare(d dir) (*warden, error) {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGPIPE)
	lock, err := d.lock()
	if err != nil {
		return nil, fmt.Errorf("starting warden: %w", err)
	}
	p, err := d.plan()
	if err != nil {
		return nil, fmt.Errorf("starting warden: %w", err)
	}
	// A daemon that found the directory before we had the lock has given it up.
	if s, err := d.status(); err != nil || s.State != sandbox.Created {
		return nil, fmt.Errorf("starting warden: sliver is %s, want created: %w", s.State, errors.Join(sandbox.ErrConflict, err))
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("starting warden: becoming subreaper: %w", err)
	}
	cgroups, err := oci.HostCgroups()
	if err != nil {
		return nil, fmt.Errorf("starting warden: %w", err)
	}
	w := &warden{
		dir: d, plan: p, lock: lock, cgroups: cgroups,
		over: make(chan struct{}), stops: make(chan stopping), changed: make(chan struct{}),
		status: sandbox.Status{Sliver: p.Spec.Sliver, State: sandbox.Created, Deadline: p.Spec.Deadline},
	}
	return w, nil
}

// farewell runs the node's command for a sliver that is gone, such as one that
// takes its network away. It runs in the mount namespace outside: what it
// unmounts must be the node's mounts, not our copies.
func farewell(argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), goneTime)
	defer cancel()
	return runOutside(ctx, argv)
}
