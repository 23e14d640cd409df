// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// Sort says whose doing a refusal is. The numbers are on the wire.
type Sort uint8

const (
	// Exhausted: the asker's own claim is used up. Only ever said of the leaf.
	Exhausted Sort = 1
	// Oversubscribed: a claim of degree above 100 on the path is full, and
	// nobody is to blame.
	Oversubscribed Sort = 2
	// OverIssued: somebody on the path promised more than it may.
	OverIssued Sort = 3
	// Local: the node's own reason, named by Reason.
	Local Sort = 4
)

func (s Sort) String() string {
	switch s {
	case Exhausted:
		return "exhausted"
	case Oversubscribed:
		return "oversubscribed"
	case OverIssued:
		return "over-issued"
	case Local:
		return "local"
	}
	return fmt.Sprintf("sort(%d)", uint8(s))
}

// Reason is why exactly, within the sort. The numbers are on the wire.
type Reason uint8

const (
	ReasonNone       Reason = 0
	ReasonPolicy     Reason = 1  // the owner's rules: a limit of the pool, a principal refused
	ReasonQuarantine Reason = 2  // a conflict of this principal is known
	ReasonClock      Reason = 3  // the term does not fit the node's time, or the clock is in doubt
	ReasonSlot       Reason = 4  // a live lease in the slot that the redeem does not replace
	ReasonClosing    Reason = 5  // the node is going down, or the lease is closing
	ReasonCapacity   Reason = 6  // the pool is full in the term
	ReasonPort       Reason = 7  // a port asked for by number is taken or reserved
	ReasonRequest    Reason = 8  // a request id used before with other bytes
	ReasonSpace      Reason = 9  // the journal cannot be written
	ReasonUnknown    Reason = 10 // names a claim that this node does not know
	ReasonState      Reason = 11 // the claim is not in a state that allows it
	ReasonVisitor    Reason = 12 // the node hosts nothing
	ReasonInvalid    Reason = 13 // the statement or its chain does not verify
	ReasonBound      Reason = 14 // as much is kept of one claim as the protocol allows
)

var reasonNames = [...]string{"", "policy", "quarantine", "clock", "slot", "closing", "capacity", "port",
	"request", "space", "unknown", "state", "visitor", "invalid", "bound"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// A Refusal is an answer: the sort, the reason and a sentence for a person, and
// what bears it out. It is stored and repeated as stored.
type Refusal struct {
	Sort   Sort
	Reason Reason
	Text   string

	About      ID       // the claim that is full, or was promised too often
	Resource   Resource // of which it is full
	Instant    int64    // Unix seconds at which it is; 0 when About is not about an amount
	Attachment []byte   // a [Filling] or a [Proof], whose hash the signed reject names
}

func (r *Refusal) Error() string {
	code := r.Sort.String()
	if r.Reason != ReasonNone {
		code += ":" + r.Reason.String()
	}
	return code + ": " + r.Text
}

// Code returns "local:slot" and the like, as programs match it.
func (r *Refusal) Code() string {
	if r.Reason == ReasonNone {
		return r.Sort.String()
	}
	return r.Sort.String() + ":" + r.Reason.String()
}

func refuse(sort Sort, reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Sort: sort, Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// ParseSort reads what String prints; 0 for anything else.
func ParseSort(s string) Sort {
	for sort := Exhausted; sort <= Local; sort++ {
		if sort.String() == s {
			return sort
		}
	}
	return 0
}

// ParseReason reads what String prints; ReasonNone for anything else.
func ParseReason(s string) Reason {
	for r, name := range reasonNames {
		if name == s {
			return Reason(r)
		}
	}
	return ReasonNone
}
