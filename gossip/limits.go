// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"time"

	"croft/lease"
	"croft/lease/offer"
)

const (
	// DefaultCap is the number of nodes in a view: 10 MiB of offers. Larger
	// networks shard.
	DefaultCap = 10_000

	// AreaLevels is how many levels there are below everybody: four cells of a
	// geohash, the last a city, and three divisions by key: room for 32,768 views in
	// one city. viewLevels is how many full levels a view has room for; each is in
	// the mean a 32nd of the one before, so that a million nodes fill two or three.
	AreaLevels = 7
	geoLevels  = 4
	viewLevels = 4

	// maxRank is the rank of one node in a million.
	maxRank = 20

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

	// MaxProofs and MaxProofBytes bound the proofs kept. A conflict ruins a name,
	// so honest networks have few; with more than this many liars about, one more
	// proof is no news.
	MaxProofs     = 1024
	MaxProofBytes = 16 << 20

	// PerAccused is how many proofs are kept against one principal: one is enough
	// to shun it, and the one that ends last stays.
	PerAccused = 4

	// ProofBurst and ProofRate are what one neighbour may have verified at once and
	// each second after, in bytes; those with All, what all neighbours together may.
	// A signed statement takes some 200 bytes, so that a neighbour costs 80
	// signature checks a second and a crowd of them 650: four per cent of a core.
	// What is ignored for this is pulled later.
	ProofBurst    = 4 * lease.MaxProof
	ProofRate     = 16 << 10
	ProofBurstAll = 16 * lease.MaxProof
	ProofRateAll  = 128 << 10

	// MaxFork is the size in bytes of a proof that a node has signed two logs: two
	// heads, and two paths of 40 hashes. MaxForks is how many are kept, one a node:
	// all of them go into one pull.
	MaxFork  = 4 << 10
	MaxForks = MaxProofPages * PageBytes / MaxFork

	// ForkBurst is what one neighbour may have verified at once of forks, in bytes:
	// 65,536, some hundred forks. For the rest they have what proofs of broken
	// promises have, apart from these.
	ForkBurst = 16 * MaxFork

	// PageBytes bounds the proofs in one page of a pull, and MaxProofPages one
	// pull: 1 MiB, a quarter of a second of verifying. More comes with the next.
	PageBytes     = 256 << 10
	MaxProofPages = 4
	MaxProofPage  = max(PageBytes, lease.MaxProof) + 4096

	// maxSenders is the number of neighbours above which those that were quiet are
	// forgotten; maxJudged that of messages whose judgement is remembered.
	maxSenders = 1024
	maxJudged  = 4096

	// MaxNotice is the size in bytes of a signed lease notice.
	MaxNotice = 512
)
