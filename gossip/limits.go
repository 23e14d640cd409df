// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"time"

	"croft/lease/offer"
)

const (
	// DefaultCap is the number of nodes in a view: 10 MiB of offers. Larger
	// networks shard.
	DefaultCap = 10_000

	// MaxEvidence is the number of equivocations kept; each is two offers.
	MaxEvidence = 64

	// Burst and Refill bound how often one node may make all others work: three
	// offers at once, then one in ten seconds, which is what Pace publishes.
	Burst  = 3
	Refill = 10 * time.Second

	// MinGap, MaxGap and MinChange are the pace of publication: see [Pace].
	MinGap    = 10 * time.Second
	MaxGap    = 5 * time.Minute
	MinChange = 10 // per cent

	// Partitions is the number of parts of the view that a digest tells apart:
	// with 1,000 nodes and few changes a pull moves a fraction of the view, and
	// the digest is 600 bytes.
	Partitions = 64

	// PageOffers bounds one page of a pull: 64 KiB.
	PageOffers = 64

	// MaxPages bounds one pull: a full view.
	MaxPages = 2 * DefaultCap / PageOffers

	// MaxPull and MaxPage are the sizes in bytes of a pull and its answer.
	MaxPull = 1024
	MaxPage = PageOffers*(offer.MaxOffer+4) + 16

	// MaxNotice is the size in bytes of a signed lease notice.
	MaxNotice = 512
)
