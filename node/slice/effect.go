// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"croft/lease"
	"croft/lease/purse"
)

// Effect is what a machine's owner must do, in order. All but Stage and Done may
// come again and are the same by node and claim. String prints one line that
// ParseEffect reads.
type Effect interface {
	effect()
	String() string
}

// DrawTicket has the purse sign a redeem and remember it durably before anybody
// sees it: Drawn, Withheld or Failed.
type DrawTicket struct {
	Node lease.Principal
	Wish purse.Redeem
}

// AskHold sends a wish to a node: an ask, or a redeem under the chain that it
// stands on, root first. Held, Refused or Failed comes back.
type AskHold struct {
	Node  lease.Principal
	Chain [][]byte
}

// CommitHold turns a hold into a lease: Committed, CommitRefused or Failed.
type CommitHold struct {
	Node lease.Principal
	Hold lease.ID
}

// Keep stores the record before anything that follows in the batch. One without
// slivers is to be forgotten.
type Keep struct{ Record Record }

// ActivateLease sends the program: Progress, Activated, Running, or
// ActivateFailed, SliverFailed.
type ActivateLease struct {
	Node    lease.Principal
	Lease   lease.ID
	Program []byte
}

// CloseClaim sends the holder's signed close: Closed, Refused or Failed.
type CloseClaim struct {
	Node      lease.Principal
	Claim     lease.ID
	Statement []byte
}

// Stage is a line that a person reads while it happens.
type Stage struct {
	Name      string // discover, hold, lease, running, close, renew, stop
	Got, Want int
	Text      string
}

// Done is the end. Why has a line for each node that is the reason, in the
// order of the candidates. Answers that come later are still to be fed in.
type Done struct {
	Outcome Outcome
	Why     []string
	Record  Record // what is kept
}

func (DrawTicket) effect()    {}
func (AskHold) effect()       {}
func (CommitHold) effect()    {}
func (Keep) effect()          {}
func (ActivateLease) effect() {}
func (CloseClaim) effect()    {}
func (Stage) effect()         {}
func (Done) effect()          {}

func (e AskHold) String() string {
	return fmt.Sprintf("ask-hold node=%s chain=%s", e.Node, digests(e.Chain))
}
func (e DrawTicket) String() string {
	wish, err := json.Marshal(e.Wish)
	if err != nil {
		panic(err) // nothing in a wish fails to encode
	}
	return fmt.Sprintf("draw-ticket node=%s wish=%q", e.Node, wish)
}
func (e CommitHold) String() string {
	return fmt.Sprintf("commit-hold node=%s hold=%s", e.Node, e.Hold)
}
func (e Keep) String() string { return fmt.Sprintf("keep record=%q", e.Record.line()) }
func (e ActivateLease) String() string {
	return fmt.Sprintf("activate-lease node=%s lease=%s program=%s", e.Node, e.Lease, digest(e.Program))
}
func (e CloseClaim) String() string {
	return fmt.Sprintf("close-claim node=%s claim=%s statement=%s", e.Node, e.Claim, digest(e.Statement))
}
func (e Stage) String() string {
	return fmt.Sprintf("stage name=%s got=%d want=%d text=%q", e.Name, e.Got, e.Want, e.Text)
}
func (e Done) String() string {
	why, err := json.Marshal(e.Why)
	if err != nil {
		panic(err) // strings always encode
	}
	return fmt.Sprintf("done outcome=%d why=%q record=%q", int(e.Outcome), why, e.Record.line())
}

func digests(chain [][]byte) string {
	texts := make([]string, len(chain))
	for i, b := range chain {
		texts[i] = digest(b).String()
	}
	return strings.Join(texts, ",")
}

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }
