// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

const (
	// maxCharges is the number of slices that are kept, and maxChargesEach how many of
	// one owner: each has the node ask some tens of others three times a minute.
	maxCharges     = 64
	maxChargesEach = 16

	// admitFor is how long an owner who was let in at the socket may hand a charge over.
	admitFor = time.Minute

	// toldOver is how long it is told of a charge why it is over.
	toldOver = 24 * time.Hour

	// maxLooks is how many nodes are asked at once what they have of a slice, lookWithin
	// how long each may take: who is silent longer is looked at as one that is not there.
	maxLooks   = 16
	lookWithin = 5 * time.Second

	// maxListed is how many slivers a node may list of a slice: it counts with one.
	maxListed = 64

	// seekWithin is how long it may take to find nodes, and mostSought how many are
	// looked at.
	seekWithin = 20 * time.Second
	mostSought = 16

	// actWithin is how long a renewal or new slivers may take in all: the image comes
	// from other nodes before a lease that is not activated falls.
	actWithin = 3 * time.Minute

	// bringEvery is how often a node is asked how far an image is, startEvery whether a
	// sliver runs.
	bringEvery = 300 * time.Millisecond
	startEvery = 200 * time.Millisecond
)
