// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrFact says that a fact does not follow from the facts before it: the journal
// is not this ledger's, or not whole.
var ErrFact = errors.New("fact does not fit the ledger")

// FactKind says what was decided. The numbers are stored.
type FactKind uint8

const (
	FactHeld      FactKind = 1  // a wish was granted: wish, hold, ports
	FactRefused   FactKind = 2  // a wish was refused: wish, reject
	FactCommitted FactKind = 3  // a hold became a lease: hold's id, lease, program that runs on
	FactActivated FactKind = 4  // lease's id, program
	FactAnnounced FactKind = 5  // hold's or lease's id, close or revoke
	FactEnded     FactKind = 6  // hold's or lease's id, how
	FactGone      FactKind = 7  // lease's id: nothing of its sliver is left
	FactCapacity  FactKind = 8  // a tranche was set aside: capacity
	FactTicket    FactKind = 9  // request, ticket
	FactSeen      FactKind = 10 // a ticket that was passed on, or a redeem that is not granted
	FactProof     FactKind = 11 // a proof against somebody
)

var factNames = [...]string{"", "held", "refused", "committed", "activated", "announced", "ended", "gone", "capacity", "ticket", "seen", "proof"}

func (k FactKind) String() string {
	if int(k) < len(factNames) {
		return factNames[k]
	}
	return fmt.Sprintf("fact(%d)", uint8(k))
}

// Fact is one decision with the bytes that were signed for it: what the journal
// holds. A ledger that is given all its facts in order is the same ledger.
type Fact struct {
	K       FactKind `cbor:"0,keyasint"`
	At      int64    `cbor:"1,keyasint"`           // ledger time, Unix seconds
	Wish    []byte   `cbor:"2,keyasint,omitempty"` // the ask or redeem that is answered
	Signed  []byte   `cbor:"3,keyasint,omitempty"` // what was signed, or received, and decides
	Claim   ID       `cbor:"4,keyasint,omitzero"`  // what it is about
	Program []byte   `cbor:"5,keyasint,omitempty"`
	Event   uint8    `cbor:"6,keyasint,omitempty"` // of an end
	Ports   []Port   `cbor:"7,keyasint,omitempty"` // chosen for a hold
	Request Request  `cbor:"8,keyasint,omitzero"`  // of an Issue
	Asked   Digest   `cbor:"9,keyasint,omitzero"`  // of an Issue: what was asked for under that request

	Attached []byte `cbor:"10,keyasint,omitempty"` // what a refusal attaches
	Source   []byte `cbor:"20,keyasint,omitempty"` // the network that a wish was seen to come from

	Allotted *Allotted `cbor:"16,keyasint,omitempty"` // of a hold
}

// Allotted is what was settled for a hold beyond its wish. A hard lease that is
// charged what it gives, from its term's beginning on, has none.
type Allotted struct {
	Charge     RSet   `cbor:"0,keyasint"`
	Grace      uint32 `cbor:"1,keyasint,omitempty"` // seconds
	ActivateBy int64  `cbor:"2,keyasint,omitempty"` // Unix seconds; 0: the ledger's own fuse
	Starts     int64  `cbor:"3,keyasint,omitempty"` // Unix seconds; 0: with the term
	Lent       bool   `cbor:"4,keyasint,omitempty"` // out of a pool that borrowed: it goes when a ticket needs the room, whatever the rules are by then
	Said       string `cbor:"5,keyasint,omitempty"` // what who decided tells the holder
}

// Record returns the form that a journal keeps.
func (f Fact) Record() []byte {
	b, err := encode.Marshal(f)
	if err != nil {
		panic(err) // a fact holds nothing that cannot be encoded
	}
	return b
}

// ParseFact reads what Record wrote.
func ParseFact(b []byte) (f Fact, err error) {
	if err := Decode(b, &f, MaxFact); err != nil {
		return Fact{}, fmt.Errorf("reading a fact: %w", err)
	}
	if f.K < FactHeld || f.K > FactProof || f.At <= 0 || f.At >= maxUnix {
		return Fact{}, fmt.Errorf("reading a fact: %s at %d: %w", f.K, f.At, ErrField)
	}
	return f, nil
}

// Ends reports whether the fact ends a booking or makes an end come: what a
// journal writes even when no new grant fits on the disk.
func (f Fact) Ends() bool {
	return f.K == FactAnnounced || f.K == FactEnded || f.K == FactGone
}

// stored reads a statement that this ledger wrote down. The signature was
// checked, or made, before that; the journal checks its own sums.
func stored(b []byte) (ID, Statement, error) {
	o, err := read(b)
	return o.ID, o.Statement, err
}

// storedAs is stored for one kind of statement.
func storedAs[S Statement](b []byte) (id ID, st S, err error) {
	id, any, err := stored(b)
	if err != nil {
		return id, st, err
	}
	st, ok := any.(S)
	if !ok {
		return id, st, fmt.Errorf("%s: %w", any.Kind(), ErrKind)
	}
	return id, st, nil
}

func digestOf(b []byte) Digest { return sha256.Sum256(b) }
