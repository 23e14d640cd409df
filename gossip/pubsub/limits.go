// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"time"

	"croft/lease"
	"croft/lease/offer"
)

const (
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
	// maxOptOutPages bounds one pull of opt-outs: 4 MiB, some 9,000 entries, which
	// take some seconds to verify. A full set is eleven pulls.
	maxOptOutPages = 32
	// pullTimeout bounds one pull with all its pages.
	pullTimeout = 15 * time.Second
	// serveTimeout bounds one inbound pull of one page.
	serveTimeout = 5 * time.Second
	// maxServed bounds the inbound pulls under way; more are reset.
	maxServed = 16
)

// soon is when the first pulls by the clock happen, each after the one before.
var soon = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second}
