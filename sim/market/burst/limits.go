// SPDX-License-Identifier: Apache-2.0

package burst

import "time"

const (
	// unit is what one wish is for: a core, in thousandths.
	unit = 1000

	// shortest and longest are how long a unit is wanted, evenly spread.
	shortest, longest = time.Hour, 5 * time.Hour
	mean              = (shortest + longest) / 2

	// quiet is the demand before anybody thinks of the deadline and after it, as a
	// share of all units; it doubles every so often on its way to the peak.
	quiet   = 0.25
	doubles = 36 * time.Hour

	// After is how long is played once the deadline is over.
	After = 24 * time.Hour

	// Every is how long each of the figures of a result is the mean of.
	Every = 6 * time.Hour

	// people take turns: fewer than wishes, as a ledger keeps so much of each.
	people = 200

	// maxWishes bounds what a configuration may come to: some minutes.
	maxWishes = 200_000
)
