// SPDX-License-Identifier: Apache-2.0

package role

import "time"

// Bounds on what a tenant can make a node hold, wait for or do.
const (
	// MaxInFlight is the number of requests that one tenant has at once. A node's
	// own people ask a few at a time; who is that far behind does not keep up.
	MaxInFlight = 64

	// MaxRequests is the number of requests of one role at once: beyond, the
	// tenants are all busy, and who asks is told so.
	MaxRequests = 256

	// MaxPerSlice is the number of requests of one asking slice at once: a few of
	// them leave room for others in the half of everything that slivers may have.
	MaxPerSlice = 8

	// MaxLine is the size in bytes of one line between node and tenant, its end
	// not counted: what a reader buffers before anything is understood.
	MaxLine = 64 << 10

	// MaxAnswer is the size in bytes of all lines of one answer: with MaxInFlight,
	// 64 MiB are the most that a tenant can have the node hold.
	MaxAnswer = 1 << 20

	// MaxParts is the number of lines of one answer, however small they are.
	MaxParts = 4096

	// MaxCode and MaxText are the sizes in bytes of a failure's code and sentence.
	MaxCode = 32
	MaxText = 200

	// MaxTried is the number of challengers at once: each is asked everything that
	// the incumbent is.
	MaxTried = 4

	// MaxHolders is the number of holders that are remembered as fallbacks; who
	// held the role before them is asked no more.
	MaxHolders = 8

	// MaxHistory is how much of the past is told.
	MaxHistory = 64

	// MaxScores is the number of tenants whose figures are kept: those that were
	// asked least lately are forgotten.
	MaxScores = 2 * (MaxTried + MaxHolders)

	// MinRest and MaxRest bound how long a tenant that failed is passed over: it
	// doubles with each failure in a row. The first is short, because most are
	// restarts; the last is what a tenant that is back waits for at the most.
	MinRest = time.Second
	MaxRest = time.Minute

	// SayEvery is how often one tenant's failures are told.
	SayEvery = time.Minute

	// MaxWhole is how long a request may take in all, however many are silent: nobody
	// waits for longer.
	MaxWhole = 30 * time.Second

	// CompareWithin is how long a comparison of two answers in hand may take.
	CompareWithin = 10 * time.Second
)
