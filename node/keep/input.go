// SPDX-License-Identifier: Apache-2.0

package keep

import "croft/lease"

// Input is what a [Watch] is told: Tick, Looked, Found, Decided, Undecided, Done,
// Deferred, Lapsed or Changed.
type Input interface{ input() }

type (
	// Tick lets time pass.
	Tick struct{}
	// Looked is what the places have of the slice.
	Looked struct{ Sight }
	// Found are nodes that match, the best first, and what they have of the slice.
	Found struct {
		Candidates []Candidate
		Sight
	}
	// Decided is a verified decision, and whose it is.
	Decided struct {
		Decision Decision
		By       string
	}
	// Undecided: nobody could be asked.
	Undecided struct{ Why string }
	// Done is what came of a Renew, Run or Close.
	Done struct {
		Renewed []Known
		Ran     []Known
		Closed  []Known
		Missed  []Miss
	}
	// Deferred: it is no time to look, which says nothing about the charge.
	Deferred struct{}
	// Lapsed: the owner's grant does not stand any more, or he wants it ended.
	Lapsed struct{ Why string }
	// Changed: the owner wants something else kept, under a grant that ends then.
	Changed struct {
		Charge Charge
		Ends   int64
	}
)

// Sight is what nodes answered.
type Sight struct {
	Seen   []Seen
	Silent []lease.Principal          // gave no answer
	Health map[lease.Principal]string // of the silent, as the role monitor has it
}

// Seen is a sliver of the slice as its node tells of it.
type Seen struct {
	Sliver string
	Node   lease.Principal
	State  State
	Left   int64 // seconds of its lease, by the node's clock
}

// Miss is a node where something did not come about.
type Miss struct {
	Node   lease.Principal
	Sliver string // that was to be renewed or closed; empty: one was to run
	Why    string
}

func (Tick) input()      {}
func (Looked) input()    {}
func (Found) input()     {}
func (Decided) input()   {}
func (Undecided) input() {}
func (Done) input()      {}
func (Deferred) input()  {}
func (Lapsed) input()    {}
func (Changed) input()   {}

// Effect is what is to be done: Store, Look, Seek, Consult, Renew, Run, Close or Over. A
// Store comes first, to be durable before the rest is performed.
type Effect interface{ effect() }

type (
	// Store is what is not to be forgotten from now on.
	Store struct{ Standing Standing }
	// Look asks nodes what they have of the slice; the answer is Looked.
	Look struct{ Nodes []lease.Principal }
	// Seek finds nodes for new slivers, and asks those what they have, too; the answer
	// is Found.
	Seek struct{ Not []lease.Principal }
	// Consult asks the role keeper; the answer is Decided or Undecided.
	Consult struct{ Question Question }
	// Renew has slivers run on until then; what comes of it is a Done, as of the next
	// two.
	Renew struct {
		Slivers []string
		Until   int64
	}
	// Run runs one new sliver on each node.
	Run struct {
		Nodes []lease.Principal
		Until int64
	}
	// Close ends slivers that others have replaced.
	Close struct{ Slivers []string }
	// Over: there is nothing to do for this charge any more.
	Over struct{ Why string }
)

func (Store) effect()   {}
func (Look) effect()    {}
func (Seek) effect()    {}
func (Consult) effect() {}
func (Renew) effect()   {}
func (Run) effect()     {}
func (Close) effect()   {}
func (Over) effect()    {}
