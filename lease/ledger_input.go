// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"net/netip"
	"strings"
)

// Input is what happens to a ledger. Ref is the caller's own handle for the
// answer; Caller is who was authenticated at the other end of the channel.
// String prints one line that [ParseInput] reads.
type Input interface {
	input()
	String() string
}

// Wish asks for a hold: an ask alone, or a chain from capacity to redeem.
type Wish struct {
	Ref       uint64
	Caller    Principal
	Chain     [][]byte
	Authority []byte       // for a slice of another's: see [OpenAuthority]
	Source    netip.Prefix // the network that it came from, where that was seen directly
	Decided   *Decision    // where the pool's mechanism is [MechanismAllocator]; nil: nobody has been asked
}

// Commit turns a hold into a lease. Repeated, it returns the same bytes.
type Commit struct {
	Ref    uint64
	Caller Principal
	Hold   ID
}

// Activate says what is to run under a lease. The ledger keeps the program and
// does not look into it.
type Activate struct {
	Ref     uint64
	Caller  Principal
	Lease   ID
	Program []byte
}

// End ends a hold or lease by its holder's signed close; a lease also by that of
// the slice's owner, or of who shows that the owner granted it.
type End struct {
	Ref       uint64
	Caller    Principal
	Close     []byte
	Authority []byte
}

// Issue gives a ticket out of the sharp pool. Only the node's owner may cause it.
type Issue struct {
	Ref     uint64
	Holder  Principal
	RSet    RSet
	Term    Term
	Degree  uint16 // hundredths, 100 at least
	FanOut  uint16 // 0: none is stated
	Request Request
}

// Recall ends a hold or lease by the node's own will, after the grace that the
// lease states: it has the ledger sign a [Revoke].
type Recall struct {
	Ref    uint64
	Lease  ID
	Reason string
}

// Accuse brings a proof against somebody, from whoever it came. It is verified,
// and kept if it holds: its principal is in quarantine then.
type Accuse struct {
	Ref   uint64
	Proof []byte
}

// Bar refuses new holds and tickets for a reason that passes: ReasonClosing,
// ReasonClock, ReasonSpace (which also refuses commits and activations), and
// with ReasonNone ends that. It is forgotten in a crash; the owner knows.
type Bar struct {
	Reason Reason
}

// Gone says that nothing is left of an ended lease's sliver: Recover does not
// ask for its Finish again.
type Gone struct {
	Lease ID
}

// Recover, after Restore, has everything emitted again that may not be done.
type Recover struct{}

// Tick only lets time pass.
type Tick struct{}

func (Wish) input()     {}
func (Commit) input()   {}
func (Activate) input() {}
func (End) input()      {}
func (Issue) input()    {}
func (Recall) input()   {}
func (Accuse) input()   {}
func (Bar) input()      {}
func (Gone) input()     {}
func (Recover) input()  {}
func (Tick) input()     {}

func (in Wish) String() string {
	s := fmt.Sprintf("wish ref=%d caller=%s chain=%s%s", in.Ref, in.Caller, digests(in.Chain), shown(in.Authority))
	if in.Source.IsValid() {
		s += " source=" + in.Source.String()
	}
	if d := in.Decided; d != nil {
		s += fmt.Sprintf(" refusal=%q said=%q", d.Refusal, d.Said)
	}
	return s
}
func (in Commit) String() string {
	return fmt.Sprintf("commit ref=%d caller=%s hold=%s", in.Ref, in.Caller, in.Hold)
}
func (in Activate) String() string {
	return fmt.Sprintf("activate ref=%d caller=%s lease=%s program=%s", in.Ref, in.Caller, in.Lease, digestOf(in.Program))
}
func (in End) String() string {
	return fmt.Sprintf("end ref=%d caller=%s close=%s%s", in.Ref, in.Caller, digestOf(in.Close), shown(in.Authority))
}

// shown is the field of an authority, where there is one.
func shown(authority []byte) string {
	if len(authority) == 0 {
		return ""
	}
	return " authority=" + digestOf(authority).String()
}
func (in Issue) String() string {
	s := fmt.Sprintf("issue ref=%d holder=%s rset=%s from=%d until=%d degree=%d request=%x",
		in.Ref, in.Holder, commas(in.RSet), in.Term.From, in.Term.Until, in.Degree, in.Request[:])
	if in.FanOut != 0 { // its hash is in facts from before there was one
		s += fmt.Sprintf(" fanout=%d", in.FanOut)
	}
	return s
}
func (in Recall) String() string {
	return fmt.Sprintf("recall ref=%d lease=%s reason=%q", in.Ref, in.Lease, in.Reason)
}
func (in Accuse) String() string {
	return fmt.Sprintf("accuse ref=%d proof=%s", in.Ref, digestOf(in.Proof))
}
func (in Bar) String() string  { return fmt.Sprintf("bar reason=%d", uint8(in.Reason)) }
func (in Gone) String() string { return fmt.Sprintf("gone lease=%s", in.Lease) }
func (Recover) String() string { return "recover" }
func (Tick) String() string    { return "tick" }
func commas(s RSet) string     { return strings.ReplaceAll(s.String(), " ", ",") }
func digests(bs [][]byte) string {
	parts := make([]string, len(bs))
	for i, b := range bs {
		parts[i] = digestOf(b).String()
	}
	return strings.Join(parts, ",")
}
