// SPDX-License-Identifier: Apache-2.0

package keep

import "time"

const (
	// MaxWant is the strength of a slice that is kept, in slivers: what a node looks at
	// in a moment, and what a question has room for in one line.
	MaxWant = 64

	// MaxSlivers is the number of slivers in a question: those wanted, as many that were
	// lost, and some that were there before.
	MaxSlivers = 160

	// MaxCandidates is the number of nodes in a question on which a sliver may run.
	MaxCandidates = 32

	// maxPlaces is the number of nodes that are looked at for one charge.
	maxPlaces = 256

	// MaxActs is how much of what was done is remembered.
	MaxActs = 64

	// maxWhere is the size in bytes of a query.
	maxWhere = 1024

	// MinTerm is the shortest lease: half of it is left when it is renewed. Running others
	// takes a quarter of it at the most, and the look before the next renewal some 5 s,
	// or more where dozens of nodes are silent. MaxTerm is the longest, as long as a dead node's lease counts
	// against its holder.
	MinTerm = 2 * time.Minute
	MaxTerm = 24 * time.Hour

	// LookEvery is how often all nodes of a slice are asked what they have of it, and
	// LookSoon when something was done or is amiss.
	LookEvery = 20 * time.Second
	LookSoon  = 5 * time.Second

	// LostAfter is how long a node must give no answer until its sliver is taken to be
	// lost: a daemon that is started again is back sooner. Where the role monitor says
	// that the node is absent, others miss it too, and AbsentAfter is enough.
	LostAfter   = 45 * time.Second
	AbsentAfter = 15 * time.Second

	// Avoid is how long a node is not thought of on which a sliver would not run.
	Avoid = 10 * time.Minute

	// runsAgain bounds what is run anew: so many times the strength in runsWithin. A
	// program that ends at once would else take leases from everybody in turn.
	runsAgain  = 3
	runsWithin = time.Hour

	// Margin is how much later a renewed lease must end, and how long a new one must
	// last, to be worth asking for.
	Margin = 30 * time.Second
)
