// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
)

// Topic is what gossip is about.
type Topic string

const (
	Offers     Topic = "offers"
	Suspicions Topic = "suspicions"
)

// Ref names a request, for its answer.
type Ref uint64

// Input is what comes over the wire: Heard, Pulled, Probed, Sought, Indexed, Wished,
// Answered, Given, Linked, Parted; or a Tick.
type Input interface{ input() }

// Heard is gossip of a neighbour.
type Heard struct {
	From  lease.Principal
	Topic Topic
	Bytes []byte
}

// Pulled asks for what there is: a Page.
type Pulled struct {
	Ref     Ref
	From    lease.Principal
	Request gossip.PullRequest
}

// Probed asks whether the node is there, and where: an Echo.
type Probed struct {
	Ref       Ref
	From      lease.Principal
	Suspicion []byte
}

// Sought asks for the peers nearest to a target: a Closer.
type Sought struct {
	Ref    Ref
	Target dht.Key
}

// Indexed is a request to an index holder: a Held.
type Indexed struct {
	Ref     Ref
	Request dht.Request
}

// Wished is what a researcher says in a channel to the node: lease.Wish, Commit,
// Activate or End. A Said answers it.
type Wished struct {
	Ref Ref
	In  lease.Input
}

// Answered is what became of a Tell.
type Answered struct {
	Ref    Ref
	Answer lease.Answer
}

// Given is a ticket that somebody trusts the node with.
type Given struct{ Ticket Ticket }

// Linked and Parted say that another is a neighbour now, or is none any more.
type (
	Linked struct{ Peer lease.Principal }
	Parted struct{ Peer lease.Principal }
)

// Tick lets time pass.
type Tick struct{}

func (Heard) input()    {}
func (Pulled) input()   {}
func (Probed) input()   {}
func (Sought) input()   {}
func (Indexed) input()  {}
func (Wished) input()   {}
func (Answered) input() {}
func (Given) input()    {}
func (Linked) input()   {}
func (Parted) input()   {}
func (Tick) input()     {}

// Effect is what a core sends. Of requests to it, one that it does not answer in the
// same step it leaves unanswered.
type Effect interface{ effect() }

// Gossip goes to a neighbour, on a topic.
type Gossip struct {
	To    lease.Principal
	Topic Topic
	Bytes []byte
}

// The answers.
type (
	Page struct {
		Ref  Ref
		Page gossip.PullPage
	}
	Echo struct {
		Ref        Ref
		Coordinate offer.Coordinate
	}
	Closer struct {
		Ref   Ref
		Peers []dht.Contact
	}
	Held struct {
		Ref      Ref
		Response dht.Response
	}
	Said struct {
		Ref        Ref
		Statements [][]byte
		Refusal    *lease.Refusal
	}
)

// Pull asks a node for its view; what it answers is thrown away.
type Pull struct {
	To      lease.Principal
	Request gossip.PullRequest
}

// Register is a request to an index holder.
type Register struct {
	To      lease.Principal
	Request dht.Request
}

// Tell says something in a channel to a node, as the caller that it names, whose key
// the core must have: Answered says what became of it.
type Tell struct {
	Ref Ref
	To  lease.Principal
	In  func(ref uint64) lease.Input
}

// Link wants to be a neighbour.
type Link struct{ To lease.Principal }

// Alias has the core's machine be a peer of that id too, in the tables of others.
type Alias struct{ ID dht.Key }

func (Gossip) effect()   {}
func (Page) effect()     {}
func (Echo) effect()     {}
func (Closer) effect()   {}
func (Held) effect()     {}
func (Said) effect()     {}
func (Pull) effect()     {}
func (Register) effect() {}
func (Tell) effect()     {}
func (Link) effect()     {}
func (Alias) effect()    {}
