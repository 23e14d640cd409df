// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

const (
	// rttValid is how long a measured round trip counts.
	rttValid = time.Minute
	// maxRTTs bounds those that are remembered.
	maxRTTs = 1024
	// shortList is the most nodes that are measured at a time, and measuring those
	// that are at once.
	shortList, measuring = 32, 8
	// maxTurns is how often the list is made anew: who turns out to be too far makes
	// room for the next.
	maxTurns = 3
	// measureLimit bounds the measuring for one answer: what is not measured by then
	// stays estimated.
	measureLimit = 3 * time.Second
)
