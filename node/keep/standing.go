// SPDX-License-Identifier: Apache-2.0

package keep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"croft/lease"
)

// Standing is what must not be forgotten of a charge. Instants are Unix seconds.
type Standing struct {
	Charge Charge  `json:"charge"`
	Since  int64   `json:"since"`
	Places []Place `json:"places,omitempty"` // nodes that may have slivers of it
	Known  []Known `json:"known,omitempty"`
	Runs   []int64 `json:"runs,omitempty"` // when slivers were run, for the budget
	Acts   []Act   `json:"acts,omitempty"` // the newest last
	Over   string  `json:"over,omitempty" doc:"why it is not kept any more"`
	Ended  int64   `json:"ended,omitempty"`
}

// Place is a node that is asked what it has of the slice, until it can have nothing.
type Place struct {
	Node  lease.Principal `json:"node"`
	Until int64           `json:"until"`
}

// Known is a sliver that was there.
type Known struct {
	Sliver  string          `json:"sliver"`
	Node    lease.Principal `json:"node"`
	Until   int64           `json:"until"`             // its lease's end
	Dropped bool            `json:"dropped,omitempty"` // another is in its stead: it is closed when its node answers
}

// Act is something that was done.
type Act struct {
	At     int64           `json:"at"`
	What   Deed            `json:"what"`
	Sliver string          `json:"sliver,omitempty"`
	Node   lease.Principal `json:"node,omitzero"`
	By     string          `json:"by,omitempty" doc:"the tenant of the role keeper whose decision it was"`
	Why    string          `json:"why,omitempty"`
}

// Deed is the sort of an act.
type Deed string

const (
	Began    Deed = "began"
	Renewed  Deed = "renewed"
	Ran      Deed = "ran"      // a new sliver runs
	Replaced Deed = "replaced" // one that was lost: another runs in its stead
	Closed   Deed = "closed"   // one that was replaced, and was there again
	Missed   Deed = "missed"   // what was decided did not come about
	Finished Deed = "finished" // the charge
)

// Record encodes a standing for a disk.
func (s Standing) Record() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // nothing in it fails to encode
	}
	return b
}

// ParseStanding reads a record; the error is [ErrCharge].
func ParseStanding(b []byte) (s Standing, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrCharge, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return s, fmt.Errorf("%w: something follows it", ErrCharge)
	}
	if s.Charge.Owner.IsZero() || lease.CheckLabel(s.Charge.Slice) != nil || s.Charge.Want < 1 || s.Charge.Want > MaxWant || s.Charge.Term < 1 {
		return s, fmt.Errorf("%w: of no slice", ErrCharge)
	}
	if len(s.Places) > maxPlaces || len(s.Acts) > MaxActs || len(s.Runs) > runsAgain*MaxWant || len(s.Known) > 2*MaxSlivers {
		return s, fmt.Errorf("%w: %d places, %d acts", ErrCharge, len(s.Places), len(s.Acts))
	}
	return s, nil
}
