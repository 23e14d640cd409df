// SPDX-License-Identifier: Apache-2.0

package swarm

import "time"

const (
	// MinPiece is the size in bytes of a piece of all but large blobs: a few
	// round trips' worth on a home line. MaxPieces keeps the sums of the largest
	// blob (8 GiB, pieces of 2 MiB) at 128 KiB.
	MinPiece  = 256 << 10
	MaxPieces = 4096

	// MaxNamed is the number of nodes that one fetch considers: a slice of some
	// hundred nodes; beyond, there are enough.
	MaxNamed = 256

	// MaxHolders is how many are asked at once: a random graph of that degree
	// stays in one piece and a few steps across at a thousand nodes.
	MaxHolders = 8

	// MaxPulls is the number of pieces under way at once, and MaxPullsEach of one
	// holder: two keep a line full, and all together are at most 16 MiB in memory.
	MaxPulls     = 8
	MaxPullsEach = 2

	// MaxOthers is the number of other nodes that a holder names with an answer.
	MaxOthers = 16

	// MaxClaims is how many holders' word on the sums is tried: each that lies
	// costs the transfer of a whole blob.
	MaxClaims = 4

	// AnswerWithin is how long a holder may take to say what it has, beside the
	// time that it was told to wait for more, WaitWithin. PullWithin is how long nothing
	// of a piece may come; another is asked for it too when nothing came for LateAfter,
	// or it was under way for maxLate.
	AnswerWithin = 5 * time.Second
	WaitWithin   = 5 * time.Second
	PullWithin   = 20 * time.Second
	leastRate    = 8e3 // bytes/s: see PieceWithin
	LateAfter    = 4 * time.Second
	maxLate      = 5 * LateAfter

	// AskAgain is after what time a holder is asked again that answered at once, and
	// with no more than was known: it was to wait.
	AskAgain = time.Second

	// SingleFor is how long one that refused a second piece is asked for one at a time:
	// some pieces' worth on a home line.
	SingleFor = 5 * time.Second

	// MinRest and MaxRest bound how long one that had nothing is not asked again.
	// The first is short: a deployment begins at its nodes at about the same time.
	MinRest = 500 * time.Millisecond
	MaxRest = 16 * time.Second

	// IdleAfter is how long a holder that has nothing new keeps its place while
	// others wait for one.
	IdleAfter = 10 * time.Second

	// StuckAfter is how long a fetch goes on while nothing comes.
	StuckAfter = time.Minute
)

// PieceWithin is how long an answer of length bytes may take in all, for whoever sends
// it and whoever waits: as long as a line of 64 kbit/s needs.
func PieceWithin(length int64) time.Duration {
	return PullWithin + time.Duration(float64(length)/leastRate*float64(time.Second))
}
