// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"

	"croft/lease"
	"croft/lease/purse"
)

// Input is what happens to an agent. Ref is the caller's own handle.
type Input interface {
	input()
	String() string
}

// Came brings what somebody has for us: a node that was asked, or a peer.
type Came struct {
	From   lease.Principal
	Chains [][][]byte
}

// Failed says that a node that was asked did not answer.
type Failed struct {
	From lease.Principal
	Why  string
}

// Wish is a person's: a ticket for an rset in a term, on any node but those
// named.
type Wish struct {
	Ref  uint64
	By   lease.Principal
	RSet lease.RSet
	Term lease.Term
	Not  []lease.Principal
}

// Signed answers Sign with what the purse handed out.
type Signed struct {
	Ref   uint64
	Chain [][]byte
}

// Declined answers Sign with the purse's no.
type Declined struct {
	Ref uint64
	Why error
}

// Complaint is a person's word that a node refused a ticket of ours, by the code
// of the refusal.
type Complaint struct {
	By, Node lease.Principal
	Code     string
}

// Proved says that a principal is proved to have broken a promise, and until when
// (Unix seconds) it gets nothing for that.
type Proved struct {
	ID        lease.ID
	Principal lease.Principal
	Until     int64
}

// Tick only lets time pass.
type Tick struct{}

func (Came) input()      {}
func (Failed) input()    {}
func (Wish) input()      {}
func (Signed) input()    {}
func (Declined) input()  {}
func (Complaint) input() {}
func (Proved) input()    {}
func (Tick) input()      {}

func (in Came) String() string   { return fmt.Sprintf("came from=%s chains=%d", in.From, len(in.Chains)) }
func (in Failed) String() string { return fmt.Sprintf("failed from=%s why=%q", in.From, in.Why) }
func (in Wish) String() string {
	return fmt.Sprintf("wish ref=%d by=%s rset=%q from=%d until=%d not=%d", in.Ref, in.By, in.RSet, in.Term.From, in.Term.Until, len(in.Not))
}
func (in Signed) String() string {
	return fmt.Sprintf("signed ref=%d statements=%d", in.Ref, len(in.Chain))
}
func (in Declined) String() string { return fmt.Sprintf("declined ref=%d why=%q", in.Ref, in.Why) }
func (in Complaint) String() string {
	return fmt.Sprintf("complaint by=%s node=%s code=%s", in.By, in.Node, in.Code)
}
func (in Proved) String() string {
	return fmt.Sprintf("proved id=%s principal=%s until=%d", in.ID, in.Principal, in.Until)
}
func (Tick) String() string { return "tick" }

// Effect is what an agent's owner must do.
type Effect interface {
	effect()
	String() string
}

// Fetch has a node asked for the tickets that we hold of it.
type Fetch struct{ Node lease.Principal }

// Sign has the purse do something: keep a ticket, or give a part of one.
type Sign struct {
	Ref uint64
	In  purse.Input
}

// Deliver brings a ticket to a peer. It may come more than once.
type Deliver struct {
	To    lease.Principal
	Chain [][]byte
}

// Answer is what a Wish comes to: a chain that ends in a ticket, or why not.
type Answer struct {
	Ref   uint64
	Chain [][]byte
	Err   error
}

// Accounted says that the account has changed and is to be kept.
type Accounted struct{}

func (Fetch) effect()     {}
func (Sign) effect()      {}
func (Deliver) effect()   {}
func (Answer) effect()    {}
func (Accounted) effect() {}

func (e Fetch) String() string { return fmt.Sprintf("fetch node=%s", e.Node) }
func (e Sign) String() string  { return fmt.Sprintf("sign ref=%d %s", e.Ref, e.In) }
func (e Deliver) String() string {
	return fmt.Sprintf("deliver to=%s statements=%d", e.To, len(e.Chain))
}
func (e Answer) String() string {
	return fmt.Sprintf("answer ref=%d statements=%d error=%v", e.Ref, len(e.Chain), e.Err)
}
func (Accounted) String() string { return "accounted" }
