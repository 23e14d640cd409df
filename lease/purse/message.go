// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"errors"
	"fmt"
	"slices"

	"croft/lease"
)

// Why a purse does not sign. Refusals wrap these or errors of package lease.
var (
	ErrUnknown = errors.New("is not in the purse")
	ErrEnded   = errors.New("has ended")
	ErrFloor   = errors.New("begins before what this purse remembers")
	ErrSlot    = errors.New("no such slot is free")
	ErrSpent   = errors.New("the ticket's slots already add up to it")
	ErrRequest = errors.New("was used before for another wish")
	ErrFull    = errors.New("the purse is full")
	// ErrFact says that a fact does not follow from the facts before it.
	ErrFact = errors.New("fact does not fit the purse")
)

// Input is what happens to a purse. Ref is the caller's own handle.
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
}

// Tick only lets time pass.
type Tick struct{}

func (Keep) input()   {}
func (Redeem) input() {}
func (Tick) input()   {}

func (in Keep) String() string {
	return fmt.Sprintf("keep ref=%d statements=%d", in.Ref, len(in.Chain))
}
func (in Redeem) String() string {
	return fmt.Sprintf("redeem ref=%d ticket=%s slot=%d rset=%q from=%d until=%d slice=%s request=%x",
		in.Ref, in.Ticket, in.Slot, in.RSet, in.Term.From, in.Term.Until, in.Slice, in.Request[:])
}
func (Tick) String() string { return "tick" }

// wishes reports whether c is what in wishes.
func (in Redeem) wishes(c *child) bool {
	return in.Ticket == c.Parent && (in.Slot == AnySlot || in.Slot == int(c.Slot)) && in.RSet == c.RSet && in.Term == c.Term() &&
		in.Slice == c.Slice && in.Replaces == c.Replaces && slices.Equal(in.Ports, c.Ports)
}

// Effect is what a purse's owner must do, in order; facts are made durable
// before anything else of the batch is done.
type Effect interface {
	effect()
	String() string
}

// Release hands out a kept ticket, or a redeem under its chain, root first: the
// answer to the input of the same Ref.
type Release struct {
	Ref   uint64
	Slot  uint8 // of a redeem
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
	FactFloor  FactKind = 1 // the floor in time rose to At
	FactKept   FactKind = 2 // a chain that ends in a ticket
	FactSigned FactKind = 3 // a redeem
)

// Fact is one decision with the bytes that were signed for it.
type Fact struct {
	K          FactKind `cbor:"0,keyasint"`
	At         int64    `cbor:"1,keyasint,omitempty"` // Unix seconds
	Statements [][]byte `cbor:"2,keyasint,omitempty"`
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
