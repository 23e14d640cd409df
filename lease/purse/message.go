// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"croft/lease"
)

// Input is what happens to a purse. Ref is the caller's own handle. String
// prints one line that ParseInput reads.
type Input interface {
	input()
	String() string
}

// Keep takes a ticket with the chain above it, root first.
type Keep struct {
	Ref   uint64
	Chain [][]byte
}

// AnySlot lets the purse pick a slot that is free in the term.
const AnySlot = -1

// Redeem wishes to draw on a ticket. A wish that replaces a lease names the
// slot of the redeem behind it.
type Redeem struct {
	Ref      uint64
	Ticket   lease.ID
	Slot     int // or AnySlot
	RSet     lease.RSet
	Term     lease.Term
	Slice    string
	Request  lease.Request
	Replaces lease.ID
	Ports    []lease.Port
	Owner    lease.Principal // of the slice, where it is not the purse's; else zero
	FanOut   uint16          // 0: the ticket's
}

// Give wishes to pass a part of a ticket on, or all of it. A ticket to the
// purse's own principal is kept at once.
type Give struct {
	Ref     uint64
	Ticket  lease.ID // the parent
	Slot    int      // or AnySlot
	Holder  lease.Principal
	RSet    lease.RSet
	Term    lease.Term
	Degree  uint16 // hundredths
	FanOut  uint16 // 0: the parent's
	Request lease.Request
}

// Restored says that the purse's facts are a copy from an earlier time: what was
// signed since is not among them. From then on nothing is signed that adds
// weight anywhere.
type Restored struct{ Ref uint64 }

// Moved is its owner's word that the facts are complete after all and that
// nobody uses another copy of them. It takes Restored back.
type Moved struct{ Ref uint64 }

// Tick only lets time pass.
type Tick struct{}

func (Keep) input()     {}
func (Redeem) input()   {}
func (Give) input()     {}
func (Restored) input() {}
func (Moved) input()    {}
func (Tick) input()     {}

func (in Keep) String() string { return fmt.Sprintf("keep ref=%d chain=%s", in.Ref, digests(in.Chain)) }
func (in Redeem) String() string {
	return stated(fmt.Sprintf("redeem ref=%d ticket=%s slot=%d rset=%q from=%d until=%d slice=%q request=%x replaces=%s ports=%q owner=%s",
		in.Ref, in.Ticket, in.Slot, in.RSet, in.Term.From, in.Term.Until, in.Slice, in.Request[:], in.Replaces, printPorts(in.Ports), in.Owner), in.FanOut)
}
func (in Give) String() string {
	return stated(fmt.Sprintf("give ref=%d ticket=%s slot=%d holder=%s rset=%q from=%d until=%d degree=%d request=%x",
		in.Ref, in.Ticket, in.Slot, in.Holder, in.RSet, in.Term.From, in.Term.Until, in.Degree, in.Request[:]), in.FanOut)
}

// stated adds a fan-out to the one-line form of what has one.
func stated(line string, fanOut uint16) string {
	if fanOut != 0 {
		line += fmt.Sprintf(" fanout=%d", fanOut)
	}
	return line
}

func (in Restored) String() string { return fmt.Sprintf("restored ref=%d", in.Ref) }
func (in Moved) String() string    { return fmt.Sprintf("moved ref=%d", in.Ref) }
func (Tick) String() string        { return "tick" }

func digests(chain [][]byte) string {
	list := make([]string, len(chain))
	for i, b := range chain {
		list[i] = lease.Digest(sha256.Sum256(b)).String()
	}
	return strings.Join(list, ",")
}

// wishes reports whether c is what in wishes.
func (in Redeem) wishes(c *child) bool {
	r := c.redeem
	return in.Ticket == r.Parent && (in.Slot == AnySlot || in.Slot == int(r.Slot)) && in.RSet == r.RSet && in.Term == r.Term() &&
		in.Slice == r.Slice && in.Replaces == r.Replaces && slices.Equal(in.Ports, r.Ports) && in.Owner == r.Owner &&
		cmp.Or(in.FanOut, c.of.FanOut) == r.FanOut
}

func (in Give) wishes(c *child) bool {
	t := c.ticket
	return in.Ticket == t.Parent && (in.Slot == AnySlot || in.Slot == int(t.Slot)) && in.RSet == t.RSet && in.Term == t.Term() &&
		in.Holder == t.Holder && in.Degree == t.Degree &&
		cmp.Or(in.FanOut, c.of.FanOut) == t.FanOut
}

// Effect is what a purse's owner must do, in order; facts are made durable
// before anything else of the batch is done.
type Effect interface {
	effect()
	String() string
}

// Release hands out a kept ticket, or a redeem or ticket under its chain, root
// first: the answer to the input of the same Ref. It is empty for Restored and
// Moved.
type Release struct {
	Ref   uint64
	Slot  uint8 // of what was signed
	Chain [][]byte
}

// Refuse says why there is nothing to hand out.
type Refuse struct {
	Ref uint64
	Err error
}

// FactKind says what was decided. The numbers are stored.
type FactKind uint8

const (
	FactFloor    FactKind = 1 // the floor in time rose to At
	FactKept     FactKind = 2 // a chain that ends in a ticket
	FactSigned   FactKind = 3 // a redeem, or a ticket with its Request
	FactRestored FactKind = 4 // At: the facts before this one are a copy that was put back
	FactMoved    FactKind = 5 // At: the owner's word that they are complete
)

// Fact is one decision with the bytes that were signed for it.
type Fact struct {
	K          FactKind      `cbor:"0,keyasint"`
	At         int64         `cbor:"1,keyasint,omitempty"` // Unix seconds
	Statements [][]byte      `cbor:"2,keyasint,omitempty"`
	Request    lease.Request `cbor:"3,keyasint,omitzero"` // of a signed ticket: it names none itself
}

func (Release) effect() {}
func (Refuse) effect()  {}
func (Fact) effect()    {}

func (r Release) String() string {
	return fmt.Sprintf("release ref=%d slot=%d statements=%d", r.Ref, r.Slot, len(r.Chain))
}
func (r Refuse) String() string { return fmt.Sprintf("refuse ref=%d error=%q", r.Ref, r.Err) }
func (f Fact) String() string {
	return fmt.Sprintf("fact kind=%d at=%d statements=%d", f.K, f.At, len(f.Statements))
}

// Record returns the form that a journal keeps.
func (f Fact) Record() []byte {
	b, err := lease.Encode(f)
	if err != nil {
		panic(err) // a fact holds nothing that cannot be encoded
	}
	return b
}

// ParseFact reads what Record wrote.
func ParseFact(b []byte) (f Fact, err error) {
	if err := lease.Decode(b, &f, MaxFact); err != nil {
		return Fact{}, fmt.Errorf("reading a fact: %w", err)
	}
	return f, nil
}
