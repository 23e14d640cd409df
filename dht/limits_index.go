// SPDX-License-Identifier: Apache-2.0

package dht

import "time"

const (
	// Replicas is the number of closest peers that hold a bucket.
	Replicas = 8

	// Linger is what the other holders of a bucket get after a quorum of them.
	Linger = 150 * time.Millisecond

	// ParallelWalks bounds the look-ups that one search or registration has under
	// way, ParallelAsks the requests of a registration.
	ParallelWalks, ParallelAsks = 8, 16

	// MaxPages bounds what one holder may make a reader read of one bucket: all of
	// it, and two pages that are cut in going round.
	MaxPages = MaxEntries/PageEntries + 2

	// samplePage is how many offers a bucket shows while its size is asked: as many
	// as people read at once.
	samplePage = 20

	// MaxRead bounds the buckets and parts that one search reads, and so what those
	// who lie about splits can make of it.
	MaxRead = 256

	// MaxFound bounds the candidates of one search.
	MaxFound = 16_384

	// sizeAge is how long a size is good enough to choose by, and maxSizes how many
	// are remembered.
	sizeAge  = 5 * time.Minute
	maxSizes = 4096
)

// AnewEvery is how often a registrant's look-ups begin with nobody: who clings to the
// places nearest to a key keeps newcomers out of its homes no longer than that.
const AnewEvery = time.Hour

// again is when a registration is repeated although the offer is the same: soon where
// few peers were known, then for those who have come since, and rarely.
var again = []time.Duration{2 * time.Second, 10 * time.Second, time.Minute, 4 * time.Minute}
