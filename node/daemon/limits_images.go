// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

const (
	// maxFetched is the number of fetches whose end is remembered: a run asks within
	// seconds.
	maxFetched = 64

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
