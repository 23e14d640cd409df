// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

const (
	// WitnessCount is how many nodes follow the log of one, and WitnessSites of
	// how many sites they are at least.
	WitnessCount = 8
	WitnessSites = 3

	// WitnessEvery is how often a witness asks unless its owner says otherwise: a
	// segment. WitnessRetry is when it
	// asks again who did not answer, and doubles with each silence up to maxSilent times:
	// of a young node there is no head for a segment, and each question costs both a
	// handshake.
	WitnessEvery = 5 * time.Minute
	WitnessRetry = time.Minute
	maxSilent    = 3

	// MaxWatched is the number of nodes that one follows. The mean is
	// WitnessCount; who makes keys that hash well fills no more than this.
	MaxWatched = 256

	// MaxKept is the number of nodes of which a head is kept: those that it follows,
	// and some that it did before, whose heads may be asked for still.
	MaxKept = 1024

	// MaxForks is the number of forks that are kept, one a node.
	MaxForks = 256

	// MaxAsking is how many nodes are asked at once.
	MaxAsking = 8

	// MaxCandidates is the number of nodes among which witnesses are chosen: those
	// of a full view.
	MaxCandidates = 10_000

	// firstRank is how many of the least scores are looked at first, of many candidates.
	firstRank = 64

	// likelyRank is below which rank nobody is looked for among the candidates: where
	// eight of three sites do not stand before it, one site has nearly all nodes.
	likelyRank = 512

	// MaxWitnessed is the size in bytes of a witness's word. One takes under 300.
	MaxWitnessed = 512

	// MaxAssertion is the size in bytes of a signed answer, with the names of
	// MaxNamed slices.
	MaxAssertion = 20 << 10

	// MaxBlocks is the number of answers, proofs and words in one dossier, all of
	// which are held against one another.
	MaxBlocks = 256

	// MaxNamed is the number of slices that one answer names.
	MaxNamed = 64
)
