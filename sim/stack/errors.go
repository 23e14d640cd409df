// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"errors"

	"croft/sim/report"
)

// ErrCannot: this world has no model of that, or not the room for it.
var ErrCannot = report.ErrCannot

// errBroken: a child ended without a report.
var errBroken = errors.New("it ended without a report")

// errSwept: somebody took a directory for one that a run had left.
var errSwept = errors.New("the directory was swept")

// errDead is what the adapters of a daemon that was killed return: nothing it does
// reaches the machine any more.
var errDead = errors.New("the daemon was killed")
