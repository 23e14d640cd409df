// SPDX-License-Identifier: Apache-2.0

package dht

import "croft/lease/offer"

const (
	// MaxEntries is the number of offers in one bucket at one holder: 256 KiB,
	// four pages. Beyond, the bucket splits.
	MaxEntries = 256

	// MaxDepth is how many bits deep a bucket splits: enough for a million offers
	// in one, and the end of the way on which a holder that is full without end
	// can send anybody.
	MaxDepth = 12

	// MaxSeats is at how many places among the keys a bucket may be: who wants all of
	// them has to grind Replicas keys for each.
	MaxSeats = 4

	// overrunBelow: those who hold a bucket are too near where the last of them is nearer
	// than so much of what is to be expected. Of a hundred buckets four are by chance;
	// and to have a seat to themselves without its being overrun, its attackers need
	// that so near to it there is no other node: that is so at two of a hundred.
	overrunBelow = 0.4

	// MaxPlaces is the number of buckets and parts in which one holder keeps one
	// node: its buckets where few nodes hold everything, and some parts.
	MaxPlaces = 3 * MaxBuckets

	// quorum is how many answers make a bucket read, where so many are asked.
	quorum = 3

	// MaxHeld is the number of bucket entries that one holder keeps over all
	// buckets; an offer in several is stored once. In a network of 1,000 nodes
	// the mean is 128.
	MaxHeld = 16_384

	// PerNetwork and PerSite are the shares of a bucket that one source network
	// (a /24 or /48) and one site may have: no one of them can fill it.
	PerNetwork = MaxEntries / 4
	PerSite    = MaxEntries / 4

	// MaxBuckets is the number of buckets of one offer: every, cpu, memory,
	// country, AS, three names of the site, and the labels.
	MaxBuckets = 8 + offer.MaxLabels

	// PageEntries bounds one answer to LIST.
	PageEntries = 64

	// MaxRequest and MaxResponse are sizes in bytes.
	MaxRequest  = offer.MaxOffer + MaxBuckets*34 + 128
	MaxResponse = PageEntries*(offer.MaxOffer+4) + MaxBuckets*16 + 128

	// MaxPlanBuckets is the most buckets that one plan walks: a range over
	// every class of a resource.
	MaxPlanBuckets = 16

	// MaxSample is the most buckets whose sizes are asked before a query is walked:
	// two ranges, and some words.
	MaxSample = 16
)
