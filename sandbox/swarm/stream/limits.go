// SPDX-License-Identifier: Apache-2.0

package stream

import "time"

const (
	// MaxServing is the number of pieces that are sent at once, and maxServingEach of
	// them to one node: each is a piece in memory, 2 MiB at the most. Half of them go to
	// one network, as keys cost nothing. Each is to have leastEach bytes/s: at a lower
	// rate fewer are sent.
	MaxServing     = 16
	maxServingEach = 4
	leastEach      = 64e3

	// maxWaiting is the number of streams on which nodes wait to be told of more, or
	// are told something small, and maxWaitingEach of one node.
	maxWaiting     = 256
	maxWaitingEach = 8

	// questionWithin is how long a question may take to arrive, chunkWithin how long a
	// node may take to accept chunk bytes more.
	questionWithin = 5 * time.Second
	chunkWithin    = 15 * time.Second
	chunk          = 32 << 10

	// rateBurst is how many bytes pass before the rate holds.
	rateBurst = 1 << 20

	// DefaultRate is how fast pieces are sent to others, all together, in bytes/s:
	// 50 Mbit/s, half of a common uplink.
	DefaultRate = 50e6 / 8

	// MaxFetches is the number of blobs that are fetched at once, each with up to 16
	// MiB in memory.
	MaxFetches = 4

	// maxTraced is of how many blobs is remembered who asked for them.
	maxTraced = 256

	// movedEvery is how often it is told that more of a piece came.
	movedEvery = time.Second

	// settle is how long what came by another way is gathered before it is told.
	settle = 20 * time.Millisecond
)
