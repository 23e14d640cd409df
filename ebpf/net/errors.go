// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

var (
	// ErrConfig is a tag, place, port or prefix that cannot be.
	ErrConfig = errors.New("impossible configuration")
	// ErrTaken is a name in the kernel that another owner holds.
	ErrTaken = errors.New("name is taken")
	// ErrNoSliver is a sliver that has no plumbing here.
	ErrNoSliver = errors.New("no such sliver")
	// ErrNotRoot is a call that the kernel lets only root make.
	ErrNotRoot = errors.New("need root (CAP_NET_ADMIN and CAP_SYS_ADMIN)")
	// ErrReattach says that a sliver's rates are set, but its egress is shaped
	// only once the guard is attached to what a new Add returns.
	ErrReattach = errors.New("guard must be attached anew to shape egress")
	// ErrFilter is a filter of a capture that is not understood.
	ErrFilter = errors.New("filter not understood")
	// ErrClosed is a call after Close.
	ErrClosed = errors.New("network is closed")
)

// MissingError says what this machine lacks and what is lost without it. It
// matches errors.ErrUnsupported.
type MissingError struct {
	Need string // such as "kernel: sch_htb"
	Lost string // such as "rates of slivers are not shaped"
	Err  error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("missing %s (without it: %s): %v", e.Need, e.Lost, e.Err)
}

func (e *MissingError) Unwrap() error { return e.Err }

func (e *MissingError) Is(target error) bool { return target == errors.ErrUnsupported }

// missing turns err into a MissingError where it is the kernel's way to say
// that it has no such thing.
func missing(err error, need, lost string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOENT),
		errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.EAFNOSUPPORT),
		errors.Is(err, syscall.ENODEV):
		return &MissingError{Need: need, Lost: lost, Err: err}
	}
	return err
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	return nil
}
