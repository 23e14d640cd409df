// SPDX-License-Identifier: Apache-2.0

// Package burst plays the weeks before a deadline on one node: demand grows until
// there is far more of it than machine, and is gone the day after. SHARP's authors
// saw that on PlanetLab before a paper deadline in March 2003; their figure gives the
// shape, the numbers here are assumed.
//
// Everybody wants one unit for some hours and plans it ahead; of those who planned,
// some do not come. The same wishes meet each mechanism at a real ledger, with real
// statements: shares of what is idle for whoever comes, reservations on a calendar,
// or tickets that an agent sells ahead at some degree, and which are redeemed, or
// not. Who is refused goes away.
//
//	r, err := burst.Run(ctx, burst.Config{Units: 40, Days: 12, Peak: 300, Come: 0.7, Ahead: 12 * time.Hour, Mechanism: burst.Sharp, Degree: 150})
//
// The same configuration gives the same weeks. Nothing is shared between two runs.
package burst
