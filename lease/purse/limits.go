// SPDX-License-Identifier: Apache-2.0

package purse

import "croft/lease"

const (
	// MaxTickets is the number of tickets that a purse keeps: one for each node
	// of a network of some thousands.
	MaxTickets = 4096

	// MaxChildren is the number of redeems and tickets remembered under one
	// ticket: as many redeems as the node keeps.
	MaxChildren = 1024

	// MaxFact is the size in bytes of a stored fact: a chain and its frame.
	MaxFact = lease.MaxChain + 128

	// MaxPrefixes is the number of statements that are not verified again when
	// another ticket stands under them.
	MaxPrefixes = 1024

	// Slack is how long, in seconds, what has ended is remembered: so much may a
	// wish's term begin in the past, for a clock that runs behind.
	Slack = 3600
)
