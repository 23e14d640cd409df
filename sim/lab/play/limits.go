// SPDX-License-Identifier: Apache-2.0

package play

import "time"

const (
	// minNodes and maxNodes are what makes a network, and what one machine's memory
	// has room for: a daemon takes some 50 MB.
	minNodes, maxNodes = 2, 50

	// lookEvery is how often ten nodes are asked what they know, and so how finely
	// times are told; more nodes are asked more rarely, that looking does not become
	// the load.
	lookEvery = 100 * time.Millisecond

	// countEvery is how often slivers are counted.
	countEvery = time.Second

	// settled is how old news must be to count as missed.
	settled = 10 * time.Second

	// maxNews bounds the offers that are followed: each of 50 nodes may say something
	// new every ten seconds for half an hour.
	maxNews = 10_000

	// callLimit bounds one question to a node, commandLimit one command.
	callLimit    = 5 * time.Second
	commandLimit = 2 * time.Minute

	// downLimit bounds the taking down after an interruption.
	downLimit = 2 * time.Minute

	// maxPlaces is what a daemon has by default.
	maxPlaces = 64

	// maxOutput is how much of a command's output is looked at.
	maxOutput = 1 << 20
)
