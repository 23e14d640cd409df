// SPDX-License-Identifier: Apache-2.0

package offer

import "time"

const (
	// MaxOffer is the size in bytes of one signed offer: a thousand nodes' view
	// is then at most a megabyte, and 256 of them fill one page of a bucket.
	MaxOffer = 1024

	// MaxValid is how long an offer may hold, in seconds. It is what a dead
	// node's offer costs every seeker.
	MaxValid = 600

	// MaxSkew is how far ahead of us a node's clock may be: as far as two are apart
	// of which one is 90 s ahead and one behind. At half of it every clock could be
	// right enough by the true time, and half of a network not hear the other.
	MaxSkew = 3 * time.Minute

	// MaxName bounds a display name such as "uni-a/n1", in bytes.
	MaxName = 64

	// MaxText bounds one textual attribute, a label's value included, in bytes.
	MaxText = 64

	// MaxLabels and MaxLabelKey bound the operator's own attributes; each may
	// cost a bucket of the index.
	MaxLabels   = 8
	MaxLabelKey = 32

	// MaxRuntimes is the number of runtime classes of one node.
	MaxRuntimes = 4

	// MaxPools is the number of pools that one offer names: as many as a node's
	// policy may have. How many fit is for MaxOffer to say: see [Offer.Fit].
	MaxPools = 16

	// MaxAddrs and MaxAddr bound the reachability addresses: v4 and v6 over QUIC
	// and TCP, and room for relays.
	MaxAddrs = 8
	MaxAddr  = 160

	// MaxCertificate bounds the site certificate, in bytes.
	MaxCertificate = 512

	// MaxQuery and MaxConstraints bound what a stranger's query makes us match.
	MaxQuery       = 1024
	MaxConstraints = 16

	// MaxOrder is the number of attributes that one query orders by: beyond, no
	// two nodes are left to tell apart.
	MaxOrder = 4

	// MaxLimit is the most offers that one answer holds.
	MaxLimit = 10_000
)
