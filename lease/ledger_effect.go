// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"strings"
)

// Effect is what a ledger's owner must do. Facts are made durable before
// anything else of the batch is done. Effects come at least once: Begin and
// Continue are the same whenever Sliver and Lease are, Finish whenever Sliver is.
type Effect interface {
	effect()
	String() string
}

// Answer goes back to whoever gave the input of the same Ref. With a refusal,
// Statements holds the signed reject if the ledger keeps it; what it does not
// keep it does not sign.
//
// Undecided is a wish that could be granted, and about which somebody outside is to
// decide: it is to be brought again with the [Decision]. Nothing of it is kept.
type Answer struct {
	Ref        uint64
	Statements [][]byte
	Refusal    *Refusal
	Undecided  *Question
}

// Begin has a sliver run under a lease.
type Begin struct {
	Sliver    string
	Lease     ID
	Statement []byte // the signed lease
	Program   []byte
	Share     RSet // as in Share; zero: all of the lease is in force
}

// Continue has a sliver run on under another lease, whose limits and end hold
// from now on.
type Continue struct {
	Sliver    string
	Lease     ID
	Statement []byte
	Share     RSet // as in Share; zero: all of the lease is in force
}

// Share has a sliver run on with another part of its evictable lease in force.
// RSet is all of it: what the lease keeps, and the share of what it divides.
type Share struct {
	Sliver string
	Lease  ID
	RSet   RSet
}

// Finish has a sliver go. It may name one that never began.
type Finish struct {
	Sliver string
	Lease  ID
	Reason string
}

// Changed says that there is more or less free capacity than before: what was
// offered is stale.
type Changed struct{}

// Proved tells of a proof that the ledger found among what it saw. It is for
// everybody.
type Proved struct {
	Proof []byte
}

func (Fact) effect()     {}
func (Answer) effect()   {}
func (Begin) effect()    {}
func (Continue) effect() {}
func (Finish) effect()   {}
func (Share) effect()    {}
func (Changed) effect()  {}
func (Proved) effect()   {}

func (f Fact) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fact %s at=%d", f.K, f.At)
	if !f.Claim.IsZero() {
		fmt.Fprintf(&b, " claim=%s", f.Claim)
	}
	if f.Event != 0 {
		fmt.Fprintf(&b, " event=%q", event(f.Event).String())
	}
	fmt.Fprintf(&b, " record=%s", digestOf(f.Record()))
	return b.String()
}

func (a Answer) String() string {
	s := fmt.Sprintf("answer ref=%d", a.Ref)
	if len(a.Statements) > 0 {
		s += " statements=" + digests(a.Statements)
	}
	if a.Refusal != nil {
		s += fmt.Sprintf(" refusal=%s text=%q", a.Refusal.Code(), a.Refusal.Text)
	}
	if a.Undecided != nil {
		s += fmt.Sprintf(" undecided=%s", a.Undecided.Ask)
	}
	return s
}

func (b Begin) String() string {
	return fmt.Sprintf("begin sliver=%s lease=%s program=%s", b.Sliver, b.Lease, digestOf(b.Program)) + inForce(b.Share)
}
func (c Continue) String() string {
	return fmt.Sprintf("continue sliver=%s lease=%s", c.Sliver, c.Lease) + inForce(c.Share)
}
func (s Share) String() string {
	return fmt.Sprintf("share sliver=%s lease=%s", s.Sliver, s.Lease) + inForce(s.RSet)
}

func inForce(s RSet) string {
	if s.IsZero() {
		return ""
	}
	return " share=" + commas(s)
}
func (f Finish) String() string {
	return fmt.Sprintf("finish sliver=%s lease=%s reason=%q", f.Sliver, f.Lease, f.Reason)
}
func (Changed) String() string { return "changed" }

// sliverName is how many characters of its first lease's id name a sliver.
const sliverName = 16

// SliverName returns the name of the sliver whose first lease has that id.
func SliverName(first ID) string { return first.String()[:sliverName] }

// SliverOf returns the name of the sliver that runs under l, whose id is given.
func (l *Lease) SliverOf(id ID) string {
	if !l.Sliver.IsZero() {
		id = l.Sliver
	}
	return SliverName(id)
}
