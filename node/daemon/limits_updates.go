// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

const (
	// updatesEvery is how often a node asks which release to run: soon enough after one
	// that mends a hole, and no load. An owner may want it otherwise within these bounds.
	updatesEvery = time.Hour
	updatesLeast = time.Minute
	updatesMost  = 24 * time.Hour

	// updatesFirst is how long after the start it asks first.
	updatesFirst = time.Minute

	// updatesHealthy is after how long without a neighbour a daemon counts as one that
	// started all the same: it may be the first of its network.
	updatesHealthy = time.Minute

	// maxUpdateHolders is how many nodes are told of that may have a build.
	maxUpdateHolders = 64

	// maxReleaseFiles is how many releases the built-in looks at: what an owner was sent.
	maxReleaseFiles = 64

	// updateFetchLimit is how long a build may take to come from other nodes.
	updateFetchLimit = 30 * time.Minute
)
