// SPDX-License-Identifier: Apache-2.0

package swarm

import (
	"fmt"

	"croft/lease"
)

// Input is what a fetch is told.
type Input interface{ fmt.Stringer }

// Effect is what it wants done.
type Effect interface{ fmt.Stringer }

// Inputs.
type (
	// Named: these may have the blob, the best first.
	Named struct{ Nodes []lease.Principal }

	// Told: this is what a node has.
	Told struct {
		Node lease.Principal
		Holding
	}

	// Summed: a holder's word on the sums, of the right length.
	Summed struct {
		Node lease.Principal
		Sums Sums
	}

	// Kept: these pieces are there, judged and on disk. It answers Adopt, and tells of
	// what came another way.
	Kept struct{ Pieces Set }

	// Moved: some more of a piece came.
	Moved struct {
		Node  lease.Principal
		Piece int
	}

	// Got: a piece came, was judged and is on disk.
	Got struct {
		Node  lease.Principal
		Piece int
	}

	// Lied: what came was judged, and is no such piece.
	Lied struct {
		Node  lease.Principal
		Piece int
	}

	// Denied: a node is too busy to send a piece, or has it no more.
	Denied struct {
		Node  lease.Principal
		Piece int
		Why   string
	}

	// Failed: a node did not do what it was asked.
	Failed struct {
		Node lease.Principal
		Why  string
	}

	// Refuted: all pieces are there, and the whole has another digest.
	Refuted struct{}

	// Tick: time has passed.
	Tick struct{}
)

// Effects.
type (
	// Ask: what does a node have? Known is how many pieces it told of before.
	Ask struct {
		Node  lease.Principal
		Known int
	}

	// AskForSums: what are the sums, by its word?
	AskForSums struct{ Node lease.Principal }

	// Adopt: judge by these sums from now on, what is there already first.
	Adopt struct{ Sums Sums }

	// Pull: have this piece sent. More than one node may be asked for one piece.
	Pull struct {
		Node  lease.Principal
		Piece int
	}

	// Leave: nothing that was asked of this node is waited for any more.
	Leave struct {
		Node lease.Principal
		Why  string
	}

	// Whole: all pieces are there; check the digest. It is the last, unless Refuted.
	Whole struct{}

	// Stuck: nobody gives anything. It is the last.
	Stuck struct{ Why string }
)

func (i Named) String() string {
	s := "named"
	for _, n := range i.Nodes {
		s += " " + n.Short()
	}
	return s
}
func (i Told) String() string {
	if i.Whole {
		return fmt.Sprintf("told %s whole", i.Node.Short())
	}
	return fmt.Sprintf("told %s %d pieces", i.Node.Short(), i.Pieces.Len())
}
func (i Summed) String() string { return "summed " + i.Node.Short() }
func (i Kept) String() string   { return fmt.Sprintf("kept %d pieces", i.Pieces.Len()) }
func (i Moved) String() string  { return fmt.Sprintf("moved %s %d", i.Node.Short(), i.Piece) }
func (i Got) String() string    { return fmt.Sprintf("got %s %d", i.Node.Short(), i.Piece) }
func (i Lied) String() string   { return fmt.Sprintf("lied %s %d", i.Node.Short(), i.Piece) }
func (i Denied) String() string {
	return fmt.Sprintf("denied %s %d %s", i.Node.Short(), i.Piece, i.Why)
}
func (i Failed) String() string  { return fmt.Sprintf("failed %s %s", i.Node.Short(), i.Why) }
func (i Refuted) String() string { return "refuted" }
func (i Tick) String() string    { return "tick" }

func (e Ask) String() string        { return fmt.Sprintf("ask %s, known %d", e.Node.Short(), e.Known) }
func (e AskForSums) String() string { return "sums? " + e.Node.Short() }
func (e Adopt) String() string      { return fmt.Sprintf("adopt %d sums", len(e.Sums)/32) }
func (e Pull) String() string       { return fmt.Sprintf("pull %s %d", e.Node.Short(), e.Piece) }
func (e Leave) String() string      { return fmt.Sprintf("leave %s: %s", e.Node.Short(), e.Why) }
func (e Whole) String() string      { return "whole" }
func (e Stuck) String() string      { return "stuck: " + e.Why }
