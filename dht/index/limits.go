// SPDX-License-Identifier: Apache-2.0

package index

import (
	"time"

	"croft/dht"
)

const (
	// replicas is the number of closest peers that hold a bucket.
	replicas = 8
	// linger is what the other holders get after the quorum.
	linger = 150 * time.Millisecond
	// askTimeout bounds one request with dialling.
	askTimeout = 3 * time.Second
	// serveTimeout bounds one inbound stream.
	serveTimeout = 5 * time.Second
	// maxServed bounds the inbound requests under way; more are reset.
	maxServed = 64
	// maxServedNetwork bounds those of one source network, so that it does not keep
	// the others out.
	maxServedNetwork = maxServed / 4
	// parallelAsks bounds the requests that one registration has under way.
	parallelAsks = 16
	// parallelWalks bounds the look-ups that one query or registration has under
	// way.
	parallelWalks = 8
	// maxPages bounds what one holder may make us read of one bucket: all of it,
	// and two pages that are cut in going round.
	maxPages = dht.MaxEntries/dht.PageEntries + 2
	// samplePage is how many offers a bucket shows while its size is asked: as many
	// as people read at once.
	samplePage = 20
	// sizeAge is how long a size is good enough to choose by.
	sizeAge = 5 * time.Minute
	// maxSizes bounds the sizes that are remembered.
	maxSizes = 4096
	// maxBuckets bounds the buckets and parts that one search reads, and so what
	// those who lie about splits can make of it.
	maxBuckets = 256
	// maxFound bounds the candidates of one query.
	maxFound = 16_384
)

// again is when a registration is repeated although the offer is the same: soon
// after joining, when the first look-up may have known few peers, then rarely.
var again = []time.Duration{2 * time.Second, 10 * time.Second, time.Minute, 4 * time.Minute}
