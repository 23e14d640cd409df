// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

const (
	// maxFetched is the number of fetches whose end is remembered: a run asks within
	// seconds.
	maxFetched = 64

	// maxFetchesEach is the number of fetches under way that one principal began: half
	// of those that there may be.
	maxFetchesEach = 2

	// attendEvery is how often is looked whether a fetch is still for somebody.
	attendEvery = 15 * time.Second

	// imagesPatience is how long a fetch waits for a tenant's word before it begins
	// with the nodes that were named with the wish.
	imagesPatience = 500 * time.Millisecond

	// imagesCompared is how many of the first nodes of two answers are compared: as
	// many as are asked at once.
	imagesCompared = 8

	// minImageRate and maxImageRate bound what an owner may set, in bit/s.
	minImageRate = 64e3
	maxImageRate = 1 << 40
)

// fetchWithin is how long a fetch may take in all: what 1 Mbit/s takes, and some more.
// It keeps its image's size from others meanwhile.
func fetchWithin(size int64) time.Duration {
	return 10*time.Minute + time.Duration(size/125)*time.Millisecond
}
