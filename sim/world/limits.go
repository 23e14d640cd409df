// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/gossip"
	"croft/lease/offer"
)

const (
	// epoch is when every scenario begins, in Unix seconds: any instant will do.
	epoch = 1_800_000_000

	// Of the mesh. A neighbour that is silent is given up after noticeAfter, as
	// keep-alives have it.
	degree, degreeLow, degreeHigh = gossip.Degree, gossip.DegreeLow, gossip.DegreeHigh
	noticeAfter                   = 10 * time.Second

	// firstBeat is when the router's heart beats first, to go on each second: that is
	// when those whom it knows by then become its mesh.
	firstBeat = 100 * time.Millisecond

	// Of pulls: the adapter's own (gossip/pubsub).
	firstPulls  = 3
	pullEvery   = time.Minute
	pullTimeout = 15 * time.Second

	// maxTries is how often a packet is sent before its connection is given up;
	// each time the wait doubles.
	maxTries = 6

	// handling is what a node needs to look at a message.
	handling = 300 * time.Microsecond

	// Of the sandbox: a sliver's start takes what it was measured to take, more or
	// less; an end is quicker.
	startLeast, startMost = 120 * time.Millisecond, 320 * time.Millisecond
	endTime               = 60 * time.Millisecond
	adoptTime             = 5 * time.Millisecond

	// Of the disk: how long an fsync takes.
	syncLeast, syncMost = 300 * time.Microsecond, 4 * time.Millisecond

	// outlive is what a sliver may live longer than its lease.
	outlive = 2 * time.Second

	// sweepEvery is the number of steps between two looks at every node.
	sweepEvery = 1000

	// seenFor is how long copies of a message are recognised: GossipSub's cache.
	seenFor = 2 * time.Minute

	// openFor is how long an offer is remembered as opened: it may be heard of until
	// it has expired by a clock that is slow.
	openFor = offer.MaxValid*time.Second + 2*offer.MaxSkew

	// maxEntries bounds the offers in all views together, entryBytes each: memory.
	maxEntries = 40_000_000
	entryBytes = 290

	// Of the index: the adapter's own (dht/index), and a find's (node/daemon).
	askTimeout           = 3 * time.Second
	findLimit, thinLimit = 10 * time.Second, 2 * time.Second
	withdrawLimit        = 2 * time.Second
	page                 = 20

	// maxCuts bounds the partitions in force at once: a bit each in a node's side.
	maxCuts = 32

	// maxQueue bounds the events that wait: 6 GB of them mean a storm.
	maxQueue = 100_000_000
)

// soon is when a newcomer pulls again, each after the one before.
var soon = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second}
