// SPDX-License-Identifier: Apache-2.0

package stack

import "time"

const (
	// maxNodes is what 24 GB hold; nodeBytes is what one of a thousand was measured to
	// take. Views grow with the number of nodes, and so does that.
	maxNodes  = 3_000
	nodeBytes = 2 << 20

	// maxSeeded is how many there may be whose routing tables are seeded and of whom at
	// most maxPublishers offer anything: views are small then, and nobody looks for all.
	maxSeeded     = 12_000
	maxPublishers = 200

	// seeded is how many a seeded table knows of each direction: half a bucket.
	// neighbourhood is how many are near: Kademlia's k.
	seeded        = 10
	neighbourhood = 20

	// loud is the number of a node's connections that gossip and the daemon know of. A
	// machine's connection manager keeps it to 96 to 160, which would take 20 kB at both
	// ends each; a mesh has 3 to 8.
	loud = 16
	// loudMany is the same of more than maxNodes, still as many as a mesh takes: each is
	// three goroutines at both ends.
	loudMany = 8

	// leastBudget and nodeBudget are the memory that a run may take before garbage is
	// collected more often than with mostPercent, in bytes: of a thousand nodes 2 GB, of
	// ten thousand 7. leastPercent bounds how often that is where they keep more.
	leastBudget, nodeBudget   = 1400 << 20, 560 << 10
	leastPercent, mostPercent = 25, 400

	// contacts is how many nodes a newcomer is given to join by.
	contacts = 2

	// places bounds the slivers on a node.
	places = 64

	// maxTries is how often a packet is sent before its connection is given up;
	// each time the wait doubles.
	maxTries = 6

	// Of the sandbox: a sliver's start takes what it was measured to take, more or
	// less; an end is quicker.
	startLeast, startMost = 120 * time.Millisecond, 320 * time.Millisecond
	endTime               = 60 * time.Millisecond

	// Of the disk: how long an fsync takes.
	syncLeast, syncMost = 300 * time.Microsecond, 4 * time.Millisecond

	// checkEvery is how often the ledgers of nodes are looked at that decided something,
	// and sweepEvery those of all. outlive is what a sliver may live longer than its
	// lease, and endLimit what it takes at most to end one whose lease is over.
	checkEvery = time.Second
	sweepEvery = 30 * time.Second
	outlive    = 2 * time.Second
	endLimit   = 10 * time.Second

	// look is how often a run looks whether it was interrupted: a second of a join takes
	// a while. beat is how often it tells how far it is.
	look = 50 * time.Millisecond
	beat = time.Second

	// settled is the age at which a copy of an offer that did not come counts as lost.
	settled = 10 * time.Second

	// maxTrouble is how much is shown of what a broken run had to say.
	maxTrouble = 4 << 10

	// findLimit bounds one question of a scenario.
	findLimit = 30 * time.Second
)
