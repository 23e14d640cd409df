// SPDX-License-Identifier: Apache-2.0

package hostile

import "time"

const (
	// period is the time between two turns of a core; a flood has shorter ones.
	period      = 5 * time.Second
	floodPeriod = 250 * time.Millisecond

	// maxHoard bounds what is kept to be replayed; what is heard is mostly offers.
	maxHoard = 512

	// replays is what is said again in a turn, to each neighbour.
	replays = 8

	// Of a flood, in a turn: messages to each neighbour that are of no use, offers of
	// nodes that were made up, registrations and pulls.
	// madeUp is how many nodes one core makes up. Each may have an offer passed on by
	// all in ten seconds, so that what a flood costs everybody grows with them.
	floodMessages, floodOffers, floodRegisters, floodPulls = 64, 2, 1, 2
	madeUp                                                 = 8

	// grind is how many keys an accomplice tries for one that lies near a target, and
	// sybils how many it keeps.
	grind, sybils = 256, 2

	// links is to how many nodes one of an eclipse clings.
	links = 24

	// promised is how many tickets an over-issuer breaks.
	promised = 2

	maxNamed = 20 // contacts in an answer to a look-up
)
