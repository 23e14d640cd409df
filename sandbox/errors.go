// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
)

// What a [Runtime] answers when it does not do what it was asked.
var (
	ErrUnknown    = errors.New("no such sliver")
	ErrNotRunning = errors.New("the sliver is not running")
	ErrDeadline   = errors.New("the deadline has passed")
	ErrSpec       = errors.New("impossible sandbox")
	ErrProgram    = errors.New("impossible program")
	ErrNoSpace    = errors.New("no space on the node")
	ErrConflict   = errors.New("a sliver of this name runs something else")
	ErrBusy       = errors.New("too many at once")
)

// Missing is a feature that this machine lacks. It matches
// [errors.ErrUnsupported].
type Missing struct {
	Feature string // what is missing: "cgroup controller pids"
	Needs   string // what would bring it: "boot with cgroup_enable=pids"
}

func (m *Missing) Error() string { return fmt.Sprintf("%s is missing: %s", m.Feature, m.Needs) }

// Is makes a Missing one of the unsupported operations of package errors.
func (m *Missing) Is(target error) bool { return target == errors.ErrUnsupported }
