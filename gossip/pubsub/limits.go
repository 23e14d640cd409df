// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"time"

	"croft/gossip"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/offer"
)

const (
	// scoredFor is how long it is remembered who brought a message: copies come within the
	// rounds in which ids of it are told. By the router's own two minutes that was a tenth
	// of what a node keeps while a thousand join.
	scoredFor = 10 * time.Second

	// decayEvery is how often rejections are forgotten a little, until decayToZero is left
	// of them: in ten minutes to forget that is often enough, and each time costs a look
	// at every neighbour on every topic.
	decayEvery  = 10 * time.Second
	decayToZero = 0.01

	// copiesFor and twice as long copies of a message are told at a glance: they come
	// within the rounds in which ids of it are told. maxCopies bounds the messages of one
	// such time; copies of what is more are the router's to tell.
	copiesFor = gossip.LazyRounds * gossip.LazyEvery
	maxCopies = gossip.MessageBurst

	// maxMessage bounds one RPC of GossipSub in bytes: a batch of offers, and a
	// proof with its head.
	maxMessage = lease.MaxProof + 64*offer.MaxOffer
	// validateQueue is the number of messages that wait for a validator.
	validateQueue = 256
	// peerQueue is the number of RPCs that wait for one slow neighbour.
	peerQueue = 64
	// firstPulls is the number of neighbours that a newcomer pulls from: two to learn
	// from, and a third to hold their answers against.
	firstPulls = 3
	// pullEvery is the pace of anti-entropy.
	pullEvery = time.Minute
	// maxLost is the number of neighbours that are counted as lost between two pulls:
	// more than a node has.
	maxLost = 512
	// maxOptOutPages bounds one pull of opt-outs: 4 MiB, some 9,000 entries, which
	// take some seconds to verify. A full set is eleven pulls.
	maxOptOutPages = 32
	// pullTimeout bounds one pull with all its pages.
	pullTimeout = 15 * time.Second
	// serveTimeout bounds one inbound pull of one page.
	serveTimeout = 5 * time.Second
	// maxHisTopics is the number of topics of slices that are remembered of one peer:
	// what he subscribes to beyond is not forwarded to him.
	maxHisTopics = 2 * topic.MaxJoined
	// readerQueue is the number of messages that wait for one reader here.
	readerQueue = 64
	// ownMessages is how many of this node's messages are known as such: more than wait
	// for a neighbour at once.
	ownMessages = 1024
	// maxFetches bounds the look-ups of records under way, recordWait each of them.
	maxFetches = 8
	recordWait = 5 * time.Second
	// neighbourWait is how long a message waits for a first neighbour.
	neighbourWait = 3 * time.Second
	// lingerOpen is how long a topic stays open that nobody here uses.
	lingerOpen = 2 * time.Minute
	// meetHolders is the number of peers, closest to a topic's place, that hold it.
	meetHolders = 4
	// meetTimeout bounds one round of finding others, meetAsk one question or dial.
	meetTimeout = 15 * time.Second
	meetAsk     = 3 * time.Second
	// maxVisits and parallelDials bound whom a round dials; it ends when the topic
	// has enoughNeighbours, GossipSub's degree.
	maxVisits        = 16
	parallelDials    = 4
	enoughNeighbours = 6
	// topicTag is what a connection to a subscriber is worth to the connection
	// manager: more than a stranger's, less than a neighbour's in the shared mesh.
	topicTag = 5
	// maxServed bounds the inbound pulls under way, 8 MiB of pages, and maxServedPeer
	// those of one peer, who asks for one page after the other; a source network has
	// a quarter. More are reset.
	maxServed     = 32
	maxServedPeer = 2
	// maxMeetings and maxMeetingsPeer are the same for attendances, apart from pulls:
	// a peer attends for several topics at once.
	maxMeetings     = 32
	maxMeetingsPeer = 4
)

// soon is when the first pulls by the clock happen, each after the one before.
var soon = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second}

// meetAgain is when a topic's others are looked for again, each after the one
// before: soon, since those who come at once do not find one another, and then
// before the attendance lapses.
var meetAgain = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, 4 * time.Minute}
