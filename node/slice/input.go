// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"time"

	"croft/lease"
)

// Input is what happens to a machine of this package. String prints one line
// that ParseInput reads.
type Input interface {
	input()
	String() string
}

// Start begins.
type Start struct{}

// Drawn is a redeem that the purse signed, under its chain, root first.
type Drawn struct {
	Node  lease.Principal
	Chain [][]byte
}

// Held is a node's signed hold. Left is how long it lasts by the node's clock;
// 0 if the node did not say.
type Held struct {
	Node lease.Principal
	Hold []byte
	Left time.Duration
}

// Withheld is the purse's no to a draw: the node was asked nothing.
type Withheld struct {
	Node lease.Principal
	Text string
}

// Refused is a node's no to a wish or to a close.
type Refused struct {
	Node    lease.Principal
	Refusal lease.Refusal
}

// Failed says that a node gave no answer to what it was last told.
type Failed struct {
	Node    lease.Principal
	Trouble Trouble
	Text    string
}

// Committed is a node's signed lease.
type Committed struct {
	Node  lease.Principal
	Lease []byte
}

// CommitRefused is a node's no to a commit.
type CommitRefused struct {
	Node    lease.Principal
	Refusal lease.Refusal
}

// Activated says that a node has the program and will run it.
type Activated struct{ Node lease.Principal }

// ActivateFailed says that it will not.
type ActivateFailed struct {
	Node lease.Principal
	Text string
}

// Progress is a sign of life on the way to running, such as "image 41%".
type Progress struct {
	Node lease.Principal
	Text string
}

// Running says that a node's sliver runs. Public is where its ports answer.
type Running struct {
	Node   lease.Principal
	Public string
}

// SliverFailed says that it ended before it ran.
type SliverFailed struct {
	Node lease.Principal
	Text string
}

// Closed says that a node has closed the claim.
type Closed struct {
	Node  lease.Principal
	Claim lease.ID
}

// Abort is the user's interruption; a second one does not wait for nodes.
type Abort struct{}

// Tick only lets time pass.
type Tick struct{}

func (Start) input()          {}
func (Drawn) input()          {}
func (Held) input()           {}
func (Withheld) input()       {}
func (Refused) input()        {}
func (Failed) input()         {}
func (Committed) input()      {}
func (CommitRefused) input()  {}
func (Activated) input()      {}
func (ActivateFailed) input() {}
func (Progress) input()       {}
func (Running) input()        {}
func (SliverFailed) input()   {}
func (Closed) input()         {}
func (Abort) input()          {}
func (Tick) input()           {}

func (Start) String() string { return "start" }
func (Abort) String() string { return "abort" }
func (Tick) String() string  { return "tick" }
func (in Drawn) String() string {
	return fmt.Sprintf("drawn node=%s chain=%s", in.Node, digests(in.Chain))
}
func (in Held) String() string {
	return fmt.Sprintf("held node=%s hold=%s left=%s", in.Node, digest(in.Hold), in.Left)
}
func (in Withheld) String() string { return fmt.Sprintf("withheld node=%s text=%q", in.Node, in.Text) }
func (in Refused) String() string  { return "refused " + refusalFields(in.Node, in.Refusal) }
func (in Failed) String() string {
	return fmt.Sprintf("failed node=%s trouble=%s text=%q", in.Node, in.Trouble, in.Text)
}
func (in Committed) String() string {
	return fmt.Sprintf("committed node=%s lease=%s", in.Node, digest(in.Lease))
}
func (in CommitRefused) String() string {
	return "commit-refused " + refusalFields(in.Node, in.Refusal)
}
func (in Activated) String() string { return fmt.Sprintf("activated node=%s", in.Node) }
func (in ActivateFailed) String() string {
	return fmt.Sprintf("activate-failed node=%s text=%q", in.Node, in.Text)
}
func (in Progress) String() string { return fmt.Sprintf("progress node=%s text=%q", in.Node, in.Text) }
func (in Running) String() string {
	return fmt.Sprintf("running node=%s public=%q", in.Node, in.Public)
}
func (in SliverFailed) String() string {
	return fmt.Sprintf("sliver-failed node=%s text=%q", in.Node, in.Text)
}
func (in Closed) String() string { return fmt.Sprintf("closed node=%s claim=%s", in.Node, in.Claim) }

func refusalFields(node lease.Principal, r lease.Refusal) string {
	s := fmt.Sprintf("node=%s sort=%d reason=%d text=%q", node, uint8(r.Sort), uint8(r.Reason), r.Text)
	if !r.About.IsZero() {
		s += fmt.Sprintf(" about=%s resource=%d instant=%d", r.About, uint8(r.Resource), r.Instant)
	}
	if len(r.Attachment) > 0 {
		s += fmt.Sprintf(" attachment=%s", digest(r.Attachment))
	}
	return s
}
