// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"croft/ebpf/optout"
)

const (
	// maxQueue is the number of inputs that wait for the core; who comes later
	// waits at the door.
	maxQueue = 1024

	// maxBatch is the number of inputs whose facts share one fsync.
	maxBatch = 64

	// maxAppend is the size in bytes of the records in one frame of the journal,
	// below what a frame may carry; one record is smaller by far.
	maxAppend = 1 << 20

	// maxRebuilds bounds how often in a row the core is built anew before the
	// daemon gives up: the disk is gone. rebuildWait is the time between two.
	maxRebuilds = 5
	rebuildWait = time.Second

	// minSnapshot is the number of records below which a journal is not worth
	// shortening.
	minSnapshot = 1024

	// fullWait is how long nothing new is granted after a disk was full.
	fullWait = 10 * time.Second

	// aloneWait is how long the first offer waits for a neighbour to be told: one that
	// goes out before is heard by nobody, and that after the first neighbour only ten
	// seconds later. joinWait is what routing and gossip take to open their streams to it.
	aloneWait = time.Second
	joinWait  = 500 * time.Millisecond

	// stopGrace is the time between TERM and KILL: of the 2 s in which a sliver
	// must be gone, the rest is for what lies about it.
	stopGrace = 500 * time.Millisecond

	// launchLimit bounds a launch, unpacking its image included, and one try of
	// a teardown.
	launchLimit = 60 * time.Second

	// againWait is the wait before what failed at a sliver is tried again.
	againWait = time.Second

	// closeLimit is the time of requests under way when the daemon goes.
	closeLimit = time.Second

	// maxNotices is the number of lease notices that wait to be sent: when more
	// leases end at one instant, the next offer says it better. noticeLimit bounds
	// the sending of one.
	maxNotices  = 64
	noticeLimit = time.Second

	// maxHeard is how many words on contacts wait to be taken in: a local network may
	// say much at once. lookEvery is how often a node sees whether any neighbour is
	// left, rememberEvery how often it notes who is there.
	maxHeard      = 64
	lookEvery     = time.Second
	rememberEvery = time.Minute

	// contactsLimit bounds asking one neighbour for contacts, and answering;
	// contactsHold is how long the answer counts, by clocks that may be wrong.
	contactsLimit = 5 * time.Second
	contactsHold  = 24 * time.Hour

	// maxPings is the number of peers whose distance is measured at once when
	// somebody asks, and pingLimit the time for all of them.
	maxPings  = 16
	pingLimit = 2 * time.Second

	// drainEvery is how often the flow tables are emptied into the store: what
	// power loss can take at the most.
	drainEvery = 5 * time.Second

	// leastSegment is the shortest segment of the record that an owner may choose:
	// each has two drains, and takes some 280 bytes of the log for ever.
	leastSegment = 2 * drainEvery

	// giveLook is how often the gives are looked at, when nothing is due before;
	// giveRetry is the wait after a ticket that could not be signed.
	giveLook  = time.Hour
	giveRetry = time.Minute

	// maxMine is the number of tickets that one answer to their holder has: those
	// that begin or run now come first.
	maxMine = 256

	// maxQuestions is how many questions to the record of flows are worked on at
	// once: one reads, one decodes.
	maxQuestions = 2

	// askBurst is how many questions to the record a network may ask at once, askRate
	// how many a second after; each askRead bytes that one has the node read from its
	// disk count as one more, a proof as askProof, and a message, which is written to the
	// disk with all others, as askMessage. maxAskers is the number of networks told
	// apart: those that asked least lately are forgotten.
	askBurst   = 30
	askRate    = 1
	askRead    = 8 << 20
	askProof   = 2
	askMessage = 10
	maxAskers  = 4096

	// mailBurst is how many messages the node takes at once, of all networks together,
	// and mailRate how many a second after: each has a file of up to 1.5 MB written and
	// synced.
	mailBurst = 30
	mailRate  = 1

	// maxAddressees is to the owners of how many slices one message goes: where more
	// fit, it is about a translator's address and not about a packet.
	maxAddressees = 8

	// recordSent is how many bytes of the record, sent for a slice without a sliver
	// here that could pay, count as a question of the caller's network: askBurst
	// times that at once, and 2 Mbit/s after, apart from what it asks. maxRowSize is
	// more than any row takes.
	recordSent = 256 << 10
	maxRowSize = 1 << 10

	// execBurst is how many commands a sliver is started at once, as many as may run,
	// and execRate how many a second after: each costs tens of milliseconds of a core.
	execBurst = 32
	execRate  = 2

	// maxProved is of how many segments one answer brings proofs, for each of which
	// a whole segment is read and hashed; maxProvedRows is how many rows of each.
	maxProved     = 4
	maxProvedRows = 12

	// witnessLimit bounds one question of a witness to a node. viewEvery is how often
	// a witness looks who is there; with each thousand of them, which takes the longer
	// to choose among, that much less often.
	witnessLimit = 20 * time.Second
	viewEvery    = 30 * time.Second

	// maxExports is how many callers read the record from end to end at once,
	// beside those who ask a question; exportLimit is how long one may take: a
	// month of a busy node over a slow line. maxOpenExports are those who have
	// begun, most of which wait for their lease: each has a block of rows in memory.
	maxExports     = 2
	maxOpenExports = 32
	exportLimit    = time.Hour

	// maxCaptures bounds captures on the node, maxSliceCaptures those of one
	// slice: each has 8 MiB of the kernel's memory and costs as much as a packet
	// socket does.
	maxCaptures      = 4
	maxSliceCaptures = 2

	// A capture's bounds, unless its caller says less or more, and at most: what
	// can be looked through by hand, and what fills no disk by mistake. The first
	// 128 bytes of a packet are its headers and little of what it says.
	captureFor, maxCaptureFor         = 10 * time.Second, 10 * time.Minute
	capturePackets, maxCapturePackets = 100_000, 10_000_000
	captureBytes, maxCaptureBytes     = 16 << 20, 1 << 30
	captureSnap                       = 128

	// captureGrace is how long what was captured may wait, after the capture's
	// time, to be paid for and sent.
	captureGrace = 30 * time.Second

	// maxRecords is the number of slice records that a node keeps: 32 MiB at
	// most. recordAge is how old the DHT's word on one may be before it is asked
	// again: within it a grant falls that was taken back, where nobody tells the
	// node. recordWait is how long who acts waits for the first word. maxLookups
	// bounds those under way.
	maxRecords = 4096
	recordAge  = 30 * time.Second
	recordWait = 2 * time.Second
	maxLookups = 8

	// republishEvery is how often a node has the DHT keep the records of the
	// slices that it hosts: the DHT forgets a value after two days.
	republishEvery = 6 * time.Hour

	// maxUploads bounds how many parts of blobs are written at once: more would
	// only share one disk. piece is how much of a part is in memory at a time.
	maxUploads = 16
	piece      = 256 << 10

	// optoutGap is the least time between two changes of the addresses that opted
	// out: a change of 100,000 takes a tenth of that.
	optoutGap = 500 * time.Millisecond

	// minOptOutFrames is the number of entries below which their file is not worth
	// writing anew; maxOptOutFile bounds it in bytes: twice the set, and that.
	minOptOutFrames = 1024
	maxOptOutFile   = (2*optout.MaxEntries + 2*minOptOutFrames) * (optout.MaxEntry + frameHead)

	// maxVisits is the number of connections to the courtesy page at once,
	// maxVisitsEach those of one network, visitLimit what one may take. visitBurst and
	// visitEvery are the requests of one network at once, and the time for each
	// after; maxVisitors bounds the networks that are remembered for it.
	maxVisits     = 64
	maxVisitsEach = 8
	visitLimit    = 10 * time.Second
	visitBurst    = 20
	visitEvery    = 3 * time.Second
	maxVisitors   = 4096

	// answerLimit is how long a question at the page may wait for its turn and be
	// worked on: what is left of visitLimit is for the answer.
	answerLimit = visitLimit - 2*time.Second

	// sightEvery is how often doors are looked for that were not seen yet; with each
	// hundred nodes that are known, all of which are gone through, that much less often,
	// and ever less, down to each sightQuiet, while there is nothing to ask or to tell.
	// sightHolds is how long a node is known to be at an address, and sightAgain
	// when it is asked again. sightRest is the wait at a network where one did not
	// answer: so nobody can have many nodes knock at an address that it claims.
	// maxSights bounds those asked in one go, sightLimit one of them.
	sightEvery = time.Second
	sightQuiet = 8 * time.Second
	sightHolds = 6 * time.Hour
	sightAgain = 5 * time.Hour
	sightRest  = 30 * time.Second
	maxSights  = 32
	sightLimit = 3 * time.Second

	// defaultFanOut is the number of distinct addresses that a sliver may open
	// flows to in a minute: what a crawler or a client of many services does,
	// and no scan.
	defaultFanOut = 256
	// defaultFlowsNew is how many flows a sliver may open in a second: more than a
	// browser or a crawler does, and half of what the commons lease to anybody.
	defaultFlowsNew = 100
)
