// SPDX-License-Identifier: Apache-2.0

package report

import "errors"

var (
	// ErrCannot: the scenario wants what a world does not have. Worlds say so before
	// they begin.
	ErrCannot = errors.New("this world cannot do that")
	// ErrNoReport: JSON, but not of a report.
	ErrNoReport = errors.New("that is no report of a run")
)
