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
	// one city. Each level gets one part in levelShare of what wider ones leave of a
	// view, and the last that there is one half, as numbers are estimates.
	AreaLevels = 7
	geoLevels  = 4
	levelShare = 3

	// maxRank is the rank of one node in a million.
	maxRank = 20

	// MaxEvidence is the number of equivocations kept; each is two offers.
	MaxEvidence = 64

	// Burst and Refill bound how often one node may make all others work: three
	// offers at once, then one in ten seconds, which is what Pace publishes.
	Burst  = 3
	Refill = 10 * time.Second

	// MessageBurst and MessageRate are the messages of one neighbour that are looked
	// at, at once and each second after: all of a thousand nodes may have news in the
	// same minute, and a neighbour passes on each of them; ten thousand at rest have 21
	// a second. 160 neighbours that flood cost a fifth of a core.
	MessageBurst = 4096
	MessageRate  = 24

	// SliceBurst and SliceRate are the bytes of one neighbour on topics of slices that
	// are looked at, at once and each second after: two topics at their fullest.
	SliceBurst = 4 << 20
	SliceRate  = 256 << 10

	// RejectionWeight is what the square of a neighbour's rejections adds to its score;
	// a hundredth of them is left after RejectionForgotten. Below zero it is in no mesh;
	// three leave it out of the gossip, five leave it unheard.
	RejectionWeight    = -10
	RejectionForgotten = 10 * time.Minute
	GossipThreshold    = -80
	GraylistThreshold  = -240

	// NoticeBurst and NoticeRate are the notices of one node that are passed on, at once
	// and each second after: as many as wait to be sent.
	NoticeBurst = 64
	NoticeRate  = 1

	// AnswerBurst and AnswerRate are the bytes of answers of one kind that one neighbour
	// gets at once and each second after, those with All what all get: a full view
	// each, and two full views and a tenth of the budget together. Two keys can have
	// all of that, so those with First come before, which source networks have each
	// for itself: a view of 1,250 nodes, and then each minute two pulls of views that differ
	// in little. Neighbours of 160 networks have no more of it than the budget; the
	// 2,048 networks that are told apart have 2 Mbit/s, which a home router sends, and
	// who has so many fills its line without asking anything.
	AnswerBurst    = DefaultCap * offer.MaxOffer
	AnswerRate     = 1000
	AnswerBurstAll = 2 * DefaultCap * offer.MaxOffer
	AnswerRateAll  = Budget / 10

	AnswerBurstFirst = AnswerBurst / 8
	AnswerRateFirst  = AnswerRate / 8

	// MinGap, MaxGap and MinChange are the pace of publication: see [Pace].
	MinGap    = 10 * time.Second
	MaxGap    = 5 * time.Minute
	MinChange = 10 // per cent

	// Budget is what the whole overlay may take of a node, in bytes per second each
	// way: a home router survives. It is measured each MeasureEvery over about
	// measureOver. Above it MinGap grows by up to MaxStretch, to MaxGap, and MaxGap
	// to LongestGap: an offer holds for ten minutes, and two minutes are left for what
	// gossip misses.
	Budget       = 20_000
	MeasureEvery = 10 * time.Second
	measureOver  = time.Minute
	MaxStretch   = 30
	LongestGap   = offer.MaxValid*time.Second - Settled

	// Degree, DegreeLow and DegreeHigh are how many neighbours a node passes a
	// message on to: it looks for Degree of them when it has less than DegreeLow, and
	// takes no more than DegreeHigh, which is above twice Degree, so that newcomers find
	// room: nodes have 5 at the mean. Each one more costs all offers once more; see
	// docs/decisions/20261123-a-thin-mesh.md. What a thin mesh misses is had by Lazy: each
	// LazyEvery a node tells so many others, drawn anew, what it got in the last
	// LazyRounds of these.
	Degree, DegreeLow, DegreeHigh = 3, 3, 8
	Lazy                          = 3
	LazyEvery                     = time.Second
	LazyRounds                    = 3

	// IDSize is the size in bytes of a message's id. 2^80 messages make two of one
	// id, and nobody but their author is hurt.
	IDSize = 20

	// Partitions is the number of parts of the view that a digest tells apart: the
	// digest takes 600 bytes, and one difference among 10,000 offers costs the names
	// of 160.
	Partitions = 64

	// HeadSize is how much of a principal, in bytes, names a node in a pull, and
	// NameSize the same with a sequence. Two nodes of one head, which take 2^32 keys
	// to make, hide one another from pulls.
	HeadSize = 8
	NameSize = HeadSize + 8

	// PageOffers and PageNames bound one page of a pull: 64 and 32 KiB.
	PageOffers = 64
	PageNames  = 2048

	// MaxNames and MaxPages bound one pull: twice a full view.
	MaxNames = 2 * DefaultCap
	MaxPages = 2 * DefaultCap / PageOffers

	// MaxPull and MaxPage are the sizes in bytes of a pull and its answer.
	MaxPull = 1024
	MaxPage = PageOffers*(offer.MaxOffer+4) + PageNames*NameSize + 64

	// Settled is how long after it was made an offer is everywhere: gossip takes
	// seconds, and pulls have repaired what it missed by then.
	Settled = 2 * time.Minute

	// MaxMissed is how many settled offers a neighbour may lack and be asked as
	// others are; Remembered is for how long that counts.
	MaxMissed  = 3
	Remembered = 10 * time.Minute

	// maxSources and maxDoubts bound what is kept of neighbours' answers, and maxLack
	// the neighbours that one doubt is about.
	maxSources = 256
	maxDoubts  = 1024
	maxLack    = 4

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
