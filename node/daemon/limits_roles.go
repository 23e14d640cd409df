// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"croft/gossip/topic"
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
	// second after: two signature checks each, and what the topic itself lets its author
	// say is less unless they are small.
	shimSayBurst = 100
	shimSays     = 50

	// maxSliverTopics is the number of topics that a sliver uses within topicLinger, for
	// which the node stays on them, and maxSliverHears that of its subscriptions: half of
	// its connections. maxShimTopics is the number of topics of all slivers: a quarter of
	// what the node can be on is left to its people.
	maxSliverTopics = 8
	maxSliverHears  = 4
	maxShimTopics   = topic.MaxJoined * 3 / 4
	topicLinger     = 3 * time.Minute

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
