// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	programs "croft/ebpf/verdict"
	"croft/gossip/topic"
	"croft/node/role"
)

const (
	// maxRoleFacts is the number of decisions about a role in its journal, before it is
	// shortened to those that have a bearing still.
	maxRoleFacts = 1024

	// maxOpened is the number of offers that were verified and are not again, when
	// another answer brings them: some thousand nodes' newest.
	maxOpened = 4096

	// compared is how many of the first offers of two answers are compared: who asks
	// for more looks at no more.
	compared = 20

	// shimFindBurst is how many queries a sliver may ask at once, and shimFinds how many
	// a second after: each may have the node walk the index and measure round trips.
	shimFindBurst = 20
	shimFinds     = 2

	// shimAskBurst is how much a sliver may ask about itself at once, and shimAsks how
	// much a second after: each look is a step of the node's one loop, among all that it
	// does for others. shimOffersCost is what the offers count as, which are copied.
	shimAskBurst   = 40
	shimAsks       = 20
	shimOffersCost = 10

	// shimSayBurst is how many messages a sliver may say at once, and shimSays how many a
	// second after: three signature checks each, and what the topic itself lets its author
	// say is less unless they are small.
	shimSayBurst = 100
	shimSays     = 50

	// maxSliverTopics is the number of topics that a sliver uses within topicLinger, for
	// which the node stays on them, and maxSliverHears that of its subscriptions: half of
	// its connections. maxShimTopics is the number of topics of all slivers: a quarter of
	// what the node can be on is left to its people, and an owner's slivers have a
	// quarter of the rest.
	maxSliverTopics = 8
	maxSliverHears  = 4
	maxShimTopics   = topic.MaxJoined * 3 / 4
	maxOwnerTopics  = maxShimTopics / 4
	topicLinger     = 3 * time.Minute

	// seekCost is what a sliver pays, in bytes each way, for having the node find the
	// others of a topic, or the record of a slice: about what one walk on the DHT is,
	// three paths of some ten questions of 80 bytes and answers of 200. What the node
	// dials then it bears.
	seekCost = 8 << 10

	// settleEvery is how often a subscription pays.
	settleEvery = time.Second

	// debtKept is how long a sliver that went without paying would be held to it.
	debtKept = 24 * time.Hour

	// payLimit is how long what the node has moved waits to be paid for before the sliver
	// is let go, lastPayLimit the same of one that has gone.
	payLimit     = 10 * time.Second
	lastPayLimit = time.Second

	// foreignFresh is how old the record of another slice may be by which a sliver
	// publishes on its topic: what the topics themselves take.
	foreignFresh = 30 * time.Second

	// shimCountedCost is what the figures of a sliver count as: each looks into the kernel.
	shimCountedCost = 4

	// ownLeasePause is how long who follows a lease is told nothing after a change.
	ownLeasePause = time.Second

	// maxSource is the size in bytes of what a tenant calls where an offer is from.
	maxSource = 16
)

const (
	// maxPetname is the length of a name in characters: it stands in tables.
	maxPetname = 32

	// maxNamed is how many principals a group may have, or are asked about at once: with
	// a name each they fit in a line.
	maxNamed = 64

	// maxNames is how many names a book may have, maxNamesBook how many bytes, maxGrantFiles
	// how many grants are read beside it: what is read anew whenever a file changes.
	maxNames      = 4096
	maxNamesBook  = 1 << 20
	maxGrantFiles = 256

	// maxCredentials is how many grants an answer has, and maxCredentialText how many
	// characters they have together: they fit in a line.
	maxCredentials    = 16
	maxCredentialText = 45_000
)

const (
	// maxJudged is how many nodes a monitor is asked about at once: with all that is
	// measured of each they fit in a line. mostJudged is how many are at all, those first
	// against which there is most; the rest are as the node counts.
	maxJudged  = 64
	mostJudged = 512

	// judgeGap is the least time between two rounds of questions, judgeAgain when they
	// are asked although nothing has changed, and judgeValid how long the last answer on a
	// node counts where no other comes: after it all are present, and fail for themselves.
	judgeGap   = 500 * time.Millisecond
	judgeAgain = 20 * time.Second
	judgeValid = time.Minute
)

const (
	// maxPlaced is how many nodes a topology is asked about at once: with coordinates they
	// fit in a line. mostPlaced is how many are for one answer to a query.
	maxPlaced  = 64
	mostPlaced = 256

	// learnLimit is how long an answer waits for estimates before it measures.
	learnLimit = 500 * time.Millisecond

	// farthest is the longest round trip that anybody is told: four times that by two
	// satellites high above.
	farthest = 10 * time.Second

	// estimateValid is how long an estimate counts, and maxEstimates how many are kept.
	estimateValid = time.Minute
	maxEstimates  = 4096

	// maxPaths is how many ways round are told, and maxVia by how many nodes each leads:
	// more cost more than they save.
	maxPaths = 4
	maxVia   = 2
)

const (
	// othersHold is how long contacts are told to strangers before somebody is asked for
	// them again, and reachLimit how long they have to answer.
	othersHold = 10 * time.Second
	reachLimit = 2 * time.Second

	// standingLimit is how long those on whom a node stands have to answer when its owner
	// wants to know: a dial by a relay round half the world.
	standingLimit = 5 * time.Second

	// maxFounders is how many an owner may name: a network begins with a handful.
	maxFounders = 256
)

const (
	// decideLimit is how long a wish waits in all until it is decided: with the answer of
	// the last in line, less than our own clients wait for one that bids.
	decideLimit = 20 * time.Second

	// decideAgain is the least time between two questions about one wish: each is a step
	// of the ledger with all signatures checked, and a tenant may say 1 ms.
	decideAgain = 100 * time.Millisecond

	// maxSays is the size in bytes of what a tenant says with a decision: with its slice's
	// name, as much as a statement holds.
	maxSays = 100

	// maxDeciding is the number of questions about wishes at once: half of what a tenant
	// has open to others than the node's own people. Were there more than it takes, the
	// next in line would decide, and who asks could bring that about.
	maxDeciding = role.MaxInFlight / 4

	// maxUndecided is the number of wishes that wait for a decision, and maxUndecidedOf
	// that of one principal.
	maxUndecided   = 128
	maxUndecidedOf = 4
)

const (
	// programAgain is how often the role packets is asked, whether or not anything has
	// changed, programGap the least time between two, and programValid how long the last
	// answer counts, and a challenger's program, when no other comes.
	programAgain = 20 * time.Second
	programGap   = 500 * time.Millisecond
	programValid = time.Minute

	// programSettle is how long a program is in force after a restart before anybody is
	// asked: tenants dial again within seconds.
	programSettle = 10 * time.Second

	// programTurn is how long a program waits for another to be verified, which is as
	// long as that may take and a little.
	programTurn = 2500 * time.Millisecond

	// maxInLine is how many programs the holders of the role have in the kernel beside
	// the one in force; with that, and one for each challenger, it is all it takes.
	maxInLine = programs.MaxPrograms - role.MaxTried - 1

	// maxRefusals is how many objects of a tenant's are remembered that the kernel did
	// not take, and programRefused for how long: a machine that was busy may take it.
	maxRefusals    = 8
	programRefused = 10 * time.Minute
)
