// SPDX-License-Identifier: Apache-2.0

package world

import "croft/sim/report"

// ErrCannot: the scenario wants what this world does not have.
var ErrCannot = report.ErrCannot
