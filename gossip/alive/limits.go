// SPDX-License-Identifier: Apache-2.0

package alive

import "time"

const (
	// Neighbours is how many nodes each probes. By the order of ids each is then
	// probed by as many, so that three sites are found among them though two sleep.
	Neighbours = 5

	// Period is the time between two probes of one node. Timeout is how long the
	// answer may take: the longest way around the world, a packet sent again, and
	// some for a machine that is busy. Two misses so take at most 12 s.
	Period  = 5 * time.Second
	Timeout = 2 * time.Second

	// Misses are those after which a node is suspected. After Certain ones the node
	// itself leaves it out without waiting for others: what does not answer it is of
	// no use to it.
	Misses  = 2
	Certain = 3

	// Sites is from how many sites a node must be suspected to be left out.
	Sites = 3

	// Plausible is how near behind a node one must be to be believed: twice
	// Neighbours, since views differ, and whom one passes over as absent the other
	// may not yet know to be.
	Plausible = 2 * Neighbours

	// Valid is how long a suspicion counts, Repeat when it is made again while it
	// is true, for those that came later. A dead node's offer lasts ten minutes.
	Valid  = 5 * time.Minute
	Repeat = 2 * time.Minute

	// Gap is the least time between two suspicions of one node by another that
	// count. Whoever was refuted so has no say for a while.
	Gap = time.Minute

	// Soon is how long after a suspicion a newer offer shows that it was wrong: the
	// longest wait for a refutation, and some for the way. Each time that its
	// author's site was so refuted it has no say of that node for twice as long as
	// before, from Gap to 32 of it. After Forgiven without one all is as before: longer
	// than the longest silence.
	Soon       = 2 * time.Minute
	Forgiven   = time.Hour
	maxStrikes = 5

	// agreedStrikes is how often that doubles where three sites have missed the node
	// within Valid. Their silence then ends before Valid does, so that they still agree
	// when they speak again.
	agreedStrikes = 2

	// RefuteGap is the least time between two refutations. Others take three offers
	// at once and one in ten seconds: every other one is left for what is news. Who is
	// accused again and again, but not left out, lets it grow to MaxRefuteGap: to be
	// ranked last for as long hurts less than to have everybody hear so many offers.
	RefuteGap    = 20 * time.Second
	MaxRefuteGap = 80 * time.Second

	// LostPeriod is the time between two probes of a node that was left out, and
	// maxLost the number of those that are still probed by who suspects them.
	LostPeriod = 15 * time.Second
	maxLost    = 16

	// maxAccusers bounds those kept of one node: as many as are plausible, and some
	// that were before others joined.
	maxAccusers = Plausible + 6

	// Burst and Rate are how many suspicions are verified at once and in each second
	// after: half the nodes of a thousand may die at once, and a flood costs half a
	// per cent of a core.
	Burst = 4096
	Rate  = 64

	// MaxSuspicion is the size in bytes of a signed suspicion.
	MaxSuspicion = 192
)
