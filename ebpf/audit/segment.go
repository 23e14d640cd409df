// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"croft/lease"
)

// Segment is a leaf of the node's log: what was recorded in some minutes. Its
// rows go when their time is over; this stays.
type Segment struct {
	Number uint64       `cbor:"1,keyasint" json:"number"` // its place in the log, from 0
	From   int64        `cbor:"2,keyasint" json:"from"`   // Unix ns: no row, epoch or alarm in it is before,
	Until  int64        `cbor:"3,keyasint" json:"until"`  // and none after
	Rows   uint64       `cbor:"4,keyasint" json:"rows"`
	Leaves uint64       `cbor:"5,keyasint" json:"leaves"` // rows, epochs, tenures and alarms
	Alarms uint64       `cbor:"6,keyasint,omitempty" json:"alarms,omitempty"`
	Root   lease.Digest `cbor:"7,keyasint" json:"root"` // of the tree over the leaves, each salted
}

// Bytes returns the form that is hashed and travels.
func (s Segment) Bytes() []byte { return encoded(s) }

// ParseSegment reads that form. It returns what lease.Decode does, and ErrField.
func ParseSegment(b []byte) (s Segment, err error) {
	if err := lease.Decode(b, &s, MaxSegment); err != nil {
		return Segment{}, fmt.Errorf("segment: %w", err)
	}
	return s, s.Check()
}

// Check reports whether s can be.
func (s Segment) Check() error {
	if s.Number >= MaxSegments || s.Leaves == 0 || s.Leaves > MaxLeaves || s.Rows+s.Alarms > s.Leaves || s.Rows > s.Leaves || s.Until < s.From {
		return fmt.Errorf("%s: %w", s, ErrField)
	}
	return nil
}

func (s Segment) String() string {
	return fmt.Sprintf("segment=%d from=%s until=%s rows=%d leaves=%d alarms=%d root=%s", s.Number, instant(s.From), instant(s.Until),
		s.Rows, s.Leaves, s.Alarms, s.Root)
}
