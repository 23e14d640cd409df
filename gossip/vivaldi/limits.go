// SPDX-License-Identifier: Apache-2.0

package vivaldi

import "time"

const (
	// MaxRTT bounds a sample: a probe is given up long before.
	MaxRTT = 10 * time.Second

	// samplesEach is the number of samples of one node whose median counts, and
	// maxPeers that of nodes of which they are kept: neighbours, and some that were
	// met by chance.
	samplesEach = 5
	maxPeers    = 64

	// The algorithm's own: how much one sample moves coordinate and error at most. Half
	// is twice what its authors took: a node has six samples in five seconds, most
	// of them of the same five nodes, and with a quarter it takes minutes longer
	// until a network that begins all at one place has unfolded.
	tuneMove, tuneError = 0.5, 0.25

	// Errors are shares of a round-trip time. Whoever says that it errs less than
	// leastError is taken to err so much, so that nobody moves others at will.
	leastError, mostError = 0.02, 1.0

	// longestStep is the farthest that one sample moves a coordinate, in
	// milliseconds: the way around the world takes ten of them.
	longestStep = 40.0

	// startHeight and leastHeight are in milliseconds: a line to the network is
	// never of no length, and one of no length could not grow.
	startHeight, leastHeight = 1.0, 0.01

	// shortest is the round trip in milliseconds below which errors are not shares
	// of it: half a millisecond of a machine's own would be all of it.
	shortest = 2.0

	// pull is the distance from the origin in milliseconds at which a coordinate
	// falls towards it by a millisecond a sample: else all of them together drift.
	pull = 500.0

	// A sample contradicts all the rest when it is off by more than outlierTimes the
	// median of the last recent ones, and by more than outlierLeast milliseconds.
	recent, enough = 32, 16
	outlierTimes   = 6.0
	outlierLeast   = 50.0

	// settled is the number of samples before which a coordinate is not worth telling
	// everybody: a minute of them.
	settled = 60
)
