// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"

	"croft/lease"
)

// ErrFact says that a journal holds what this machine never wrote.
var ErrFact = errors.New("impossible fact")

// FactKind says what was decided.
type FactKind uint8

const (
	FactPlaced FactKind = 1 // a sliver has a place
	FactFreed  FactKind = 2 // a place rests until Until, then is free
)

// Fact is one decision of a [Lifecycle], as the journal keeps it.
type Fact struct {
	Kind   FactKind `cbor:"0,keyasint"`
	Sliver string   `cbor:"1,keyasint,omitempty"`
	Place  int      `cbor:"2,keyasint"`
	Until  int64    `cbor:"3,keyasint,omitempty"` // of FactFreed, Unix seconds
	At     int64    `cbor:"4,keyasint,omitempty"` // of FactPlaced, Unix seconds: the sliver began
}

const maxFact = 128 // bytes: a name of 16 and four integers

// Record returns the form that the journal keeps.
func (f Fact) Record() []byte {
	b, err := lease.Encode(f)
	if err != nil {
		panic(err) // integers and a string always encode
	}
	return b
}

// ParseFact reads a record.
func ParseFact(b []byte) (f Fact, err error) { return f, lease.Decode(b, &f, maxFact) }

func (f Fact) String() string {
	switch f.Kind {
	case FactPlaced:
		return fmt.Sprintf("fact placed %s place=%d at=%d", f.Sliver, f.Place, f.At)
	case FactFreed:
		return fmt.Sprintf("fact freed %s place=%d until=%d", f.Sliver, f.Place, f.Until)
	}
	return fmt.Sprintf("fact kind=%d", f.Kind)
}

func errFact(f Fact) error { return fmt.Errorf("sliver fact of kind %d: %w", f.Kind, ErrFact) }

func errPlace(sliver string, place, places int) error {
	return fmt.Errorf("sliver %s at place %d of %d (was the number of places lowered?): %w", sliver, place, places, ErrFact)
}
