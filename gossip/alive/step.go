// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"croft/lease"
	"croft/lease/judge"
)

// Input is what a Watch takes: Heard, Gone, Answered, Unsent, Received or Tick.
type Input interface {
	fmt.Stringer
	input()
}

// Heard says that the view has a new newest offer of a node, its own one included.
type Heard struct {
	Node     lease.Principal
	Sequence uint64
}

// Gone says that the view forgot a node, or that it left with a last word.
type Gone struct{ Node lease.Principal }

// Answered says that a probe was answered.
type Answered struct{ Ref uint64 }

// Unsent says that a probe did not leave, for a reason of this node's own.
type Unsent struct{ Ref uint64 }

// Received is a suspicion that a neighbour passed on, or that a probe brought.
type Received struct{ Bytes []byte }

// Tick lets time pass.
type Tick struct{}

func (Heard) input()    {}
func (Gone) input()     {}
func (Answered) input() {}
func (Unsent) input()   {}
func (Received) input() {}
func (Tick) input()     {}

func (i Heard) String() string    { return fmt.Sprintf("heard %s %d", i.Node, i.Sequence) }
func (i Gone) String() string     { return "gone " + i.Node.String() }
func (i Answered) String() string { return fmt.Sprintf("answered %d", i.Ref) }
func (i Unsent) String() string   { return fmt.Sprintf("unsent %d", i.Ref) }
func (i Received) String() string { return "received " + blob(i.Bytes).String() }
func (Tick) String() string       { return "tick" }

// blob is the name under which a transcript keeps bulk bytes.
func blob(b []byte) lease.Digest { return sha256.Sum256(b) }

// Effect is what a Watch wants done or known: Verdict, Probe, Publish, Refute or
// Changed.
type Effect interface {
	fmt.Stringer
	effect()
}

// Verdict answers each Received, as the first effect.
type Verdict struct {
	Judgement judge.Judgement
	Reason    judge.Reason
}

// Probe asks a node whether it is there. Suspicion is this node's own of it, for it
// to refute, or nil. An answer that comes later than Timeout is of no use.
type Probe struct {
	Node      lease.Principal
	Ref       uint64
	Suspicion []byte
}

// Publish tells everybody of this node's suspicion.
type Publish struct {
	Node  lease.Principal
	Bytes []byte
}

// Refute wants a newer offer of this node published at once.
type Refute struct{}

// Changed says that a node stands otherwise than before.
type Changed struct {
	Node     lease.Principal
	Standing Standing
}

func (Verdict) effect() {}
func (Probe) effect()   {}
func (Publish) effect() {}
func (Refute) effect()  {}
func (Changed) effect() {}

func (e Verdict) String() string {
	return strings.TrimSpace("verdict " + string(e.Judgement) + " " + string(e.Reason))
}
func (e Probe) String() string {
	s := fmt.Sprintf("probe %s %d", e.Node, e.Ref)
	if e.Suspicion != nil {
		s += " " + blob(e.Suspicion).String()
	}
	return s
}
func (e Publish) String() string { return fmt.Sprintf("suspect %s %s", e.Node, blob(e.Bytes)) }
func (Refute) String() string    { return "refute" }
func (e Changed) String() string { return fmt.Sprintf("changed %s %s", e.Node, e.Standing) }

// Standing is what a node is taken for.
type Standing uint8

const (
	Present Standing = iota // nobody says otherwise
	Doubted                 // one does: it comes last
	Absent                  // three sites do: it is left out
)

func (s Standing) String() string { return [...]string{"present", "doubted", "absent"}[s] }
