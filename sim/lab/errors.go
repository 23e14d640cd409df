// SPDX-License-Identifier: Apache-2.0

package lab

import "errors"

var (
	// ErrNoLab: the directory holds no lab. Down returns it too, so that a
	// mistyped directory is not taken for a lab that is gone.
	ErrNoLab = errors.New("no lab here")
	// ErrExists: a lab is up, or was left behind, in this directory or under
	// this name. Down removes it.
	ErrExists = errors.New("a lab is here already")
	// ErrNotRoot: namespaces and TUN devices need root.
	ErrNotRoot = errors.New("a lab needs root")
	// ErrUnknownNode: no node, site or "outside" of that name.
	ErrUnknownNode = errors.New("unknown node")
	// ErrRunning and ErrNotRunning: the daemon is, or is not, running.
	ErrRunning    = errors.New("running already")
	ErrNotRunning = errors.New("not running")
	// ErrExited: a process of the lab ended before it was ready.
	ErrExited = errors.New("exited before it was ready")
	// ErrMounted: something is still mounted below the lab's directory, so the
	// directory was not removed.
	ErrMounted = errors.New("still mounted")
)

// errNoNetNS: a namespace of the lab is not there.
var errNoNetNS = errors.New("namespace is gone")
