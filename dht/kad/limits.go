// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"time"

	"croft/dht"
)

const (
	// MaxRemembered is the number of peers worth keeping over a restart.
	MaxRemembered = 64
	// dialTimeout bounds one first contact: a peer that takes longer is no help.
	dialTimeout = 5 * time.Second
	// identifyTimeout is what a connected peer gets to show that it routes.
	identifyTimeout = 3 * time.Second
	// parallelDials bounds the first contacts under way; when enough of them have
	// answered, no more are begun: these know the others.
	parallelDials = 8
	enough        = 8
	// refreshEvery is how often the routing table looks in every direction in which
	// nobody has looked since, and asks whom it has not heard of; that costs some 250
	// messages.
	refreshEvery = 30 * time.Minute
	// fillEvery is how often it looks for what it misses, and fillAfter how long after a
	// join: the first look-ups of a node, for the places of its offer, are done then.
	fillEvery = 5 * time.Minute
	fillAfter = 15 * time.Second
	// thinBucket is how many peers of one direction are enough: what a look-up asks at
	// first, three at once on three paths.
	thinBucket = dht.LookupPaths * dht.LookupParallel
	// maxNear is more bits than any two nodes have in common.
	maxNear = 256
	// knownTTL is how long addresses are kept of whom the table was told: while a walk
	// may ask for them first.
	knownTTL = time.Hour
	// MaxValues is the number of values that this node keeps for others; a new
	// one drops the oldest. With the largest records that is 32 MiB.
	MaxValues = 4096
	// maxRecordAge is how long they are kept unless they come again.
	maxRecordAge = 48 * time.Hour
	// recordTimeout bounds one look-up or publication: after it, what was found
	// so far counts.
	recordTimeout = 4 * time.Second
	// askTimeout bounds one request with dialling. No walk waits for it: it is when
	// a silent peer leaves the routing table.
	askTimeout = 5 * time.Second
	// maxAsks bounds the requests under way, of all walks together: eight walks, and
	// those that silent peers hold.
	maxAsks = 256
	// maxAdmissions bounds those of them that are for peers who came by themselves, so that
	// silent ones leave walks room, and maxOfNetwork those of one network (dht.Groups) but
	// our own machine. Who was left out is counted, and comes to it when the table is filled.
	maxAdmissions, maxOfNetwork = 32, 8
	// restAfter is how long who failed is asked nothing because it shows up; maxFailed is
	// how many are remembered.
	restAfter, maxFailed = 5 * time.Minute, 1024
	// mendEvery is how often a table of smallTable peers or fewer is offered who is
	// connected: there one that hung for a moment may be named by nobody else. And it is
	// when a comer who knew nobody is asked once more.
	mendEvery, smallTable = 10 * time.Second, 10
	// maxAddrs is how many addresses are kept of whom others name: more than they tell of
	// one, so that a liar who tells first leaves room. maxAddrBytes is their size together:
	// that of long ones, through relays.
	maxAddrs, maxAddrBytes = 16, 2 << 10
	// maxID is more bytes than any key or hash of one takes.
	maxID = 64
	// maxNames is how many names a walk keeps before it forgets those that its look-up has
	// dropped: twice what that keeps, 128 on each path and 60 asked on it. With liars' addresses
	// that is 2.3 MB, and with those of as many answers as wait 32 MiB more (maxAnswer).
	maxNames = 2 * dht.LookupPaths * (dht.MaxHeard + dht.MaxPathAsks)
	// maxAnswer is the size in bytes of the largest answer that is read: 21 peers with
	// 4 KiB of addresses each, and a record, leave room. It is allocated by what the
	// answer says of itself, so liars can take 32 MiB with all requests under way.
	maxAnswer = 128 << 10
)
