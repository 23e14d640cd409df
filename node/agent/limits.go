// SPDX-License-Identifier: Apache-2.0

package agent

import "time"

const (
	// FetchEvery is how often a node is asked for tickets: they come by half of
	// their term, which is longer. FetchLongest is the wait after many failures.
	FetchEvery   = time.Minute
	FetchLongest = 10 * time.Minute

	// MinTerm is the shortest ticket that is worth passing on, in seconds.
	MinTerm = 60

	// Tries is how many tickets are tried for one wish: each costs a signature at
	// the most, and after so many full ones the rest is full too.
	Tries = 4

	// Avoid is for how long a node is asked last after it refused somebody.
	Avoid = time.Minute

	// MaxPending is the number of wishes under way; MaxChains that of tickets taken
	// from one answer of a node.
	MaxPending = 1024
	MaxChains  = 256

	// look is how often the agent looks at its book when nothing calls it.
	look = 30 * time.Second
)
