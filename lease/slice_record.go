// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
	"slices"
)

// SliceDomain separates slice records from every other use of a key.
const SliceDomain = "croft/slice/1\n"

// SliceRecord is what the owner of a slice says of it to anybody: where its
// slivers are, which grants stand, and who may publish on its topics. The newest sequence replaces every older
// one. The record with no label is of all the owner's slices: the grants of his
// devices stand on it.
type SliceRecord struct {
	Owner    Principal   `cbor:"1,keyasint" json:"owner"` // who signs
	Made     int64       `cbor:"4,keyasint" json:"made"`  // Unix seconds
	Until    int64       `cbor:"5,keyasint" json:"until"` // from then on it says nothing any more
	Slice    string      `cbor:"11,keyasint,omitempty" json:"slice,omitempty"`
	Sequence uint64      `cbor:"37,keyasint" json:"sequence"`                   // from 1
	Grants   []ID        `cbor:"40,keyasint,omitempty" json:"grants,omitempty"` // ascending
	Nodes    []Principal `cbor:"41,keyasint,omitempty" json:"nodes,omitempty"`  // ascending; where to look for slivers
	Topics   []Topic     `cbor:"42,keyasint,omitempty" json:"topics,omitempty"` // ascending by name
}

// OpenedSlice is a record whose encoding, fields and signature hold.
type OpenedSlice struct {
	SliceRecord
	ID    ID // SHA-256 of domain and payload
	Bytes []byte
}

// SealSlice signs a record with its owner's key. Grants and Nodes must be in
// ascending order.
func SealSlice(r SliceRecord, key Signer) (OpenedSlice, error) {
	if err := r.check(); err != nil {
		return OpenedSlice{}, fmt.Errorf("sealing a slice record: %w", err)
	}
	if r.Owner != key.Principal() {
		return OpenedSlice{}, fmt.Errorf("sealing a slice record of %s with the key of %s: %w",
			r.Owner.Short(), key.Principal().Short(), ErrSignature)
	}
	s, err := SealAs(SliceDomain, r, key)
	if err != nil {
		return OpenedSlice{}, err
	}
	return OpenSlice(s.Bytes())
}

// OpenSlice reads a record and checks encoding, fields and signature (rule R1 of
// docs/protocol/slices.md). Whether it still says anything is [OpenedSlice.Holds]
// to tell, and whether there is a newer one nobody can.
func OpenSlice(b []byte) (OpenedSlice, error) {
	s, err := ParseSigned(b, MaxSliceRecord)
	if err != nil {
		return OpenedSlice{}, fmt.Errorf("slice record: %w", err)
	}
	o := OpenedSlice{ID: hash(SliceDomain, s.Payload), Bytes: bytes.Clone(b)}
	if err := Decode(s.Payload, &o.SliceRecord, MaxSliceRecord); err != nil {
		return OpenedSlice{}, fmt.Errorf("slice record: %w", err)
	}
	if err := o.check(); err != nil {
		return OpenedSlice{}, fmt.Errorf("slice record: %w", err)
	}
	if err := s.VerifyAs(SliceDomain, o.Owner); err != nil {
		return OpenedSlice{}, fmt.Errorf("slice record of %s: %w", o.Owner.Short(), err)
	}
	return o, nil
}

func (r SliceRecord) check() error {
	return first(
		principal("owner", r.Owner), term(Term{r.Made, r.Until}), anySlice(r.Slice),
		field(r.Sequence > 0, "sequence 0"),
		ascending("grants", r.Grants, MaxGrants, func(a, b ID) int { return bytes.Compare(a[:], b[:]) }),
		ascending("nodes", r.Nodes, MaxSliceNodes, func(a, b Principal) int { return bytes.Compare(a[:], b[:]) }),
		checkTopics(r.Topics))
}

// anySlice judges a label where none is every slice of the owner's.
func anySlice(label string) error {
	if label == "" {
		return nil
	}
	return CheckLabel(label)
}

// ascending judges a list that has one order, so that a record has one encoding.
func ascending[T any](what string, list []T, limit int, compare func(a, b T) int) error {
	if len(list) > limit {
		return field(false, "%d %s, limit %d", len(list), what, limit)
	}
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return field(false, "%s are not in ascending order", what)
		}
	}
	return nil
}

// IsOf judges whether the record is that of a slice (rule R2). The error is
// ErrAnswer: it is not what was asked for.
func (r SliceRecord) IsOf(owner Principal, label string) error {
	if r.Owner != owner || r.Slice != label {
		return fmt.Errorf("record of %s@%s, asked for was %s@%s: %w", labelled(r.Slice), r.Owner.Short(), labelled(label), owner.Short(), ErrAnswer)
	}
	return nil
}

// Newer reports whether r takes the place of old (rule R3): by its sequence, and
// where an owner signed two of one sequence by its id, so that all who see both
// keep the same one. The two must be of one slice.
func (r OpenedSlice) Newer(old OpenedSlice) bool {
	if r.Sequence != old.Sequence {
		return r.Sequence > old.Sequence
	}
	return bytes.Compare(r.ID[:], old.ID[:]) > 0
}

// Holds reports whether the record says anything at the instant (Unix seconds).
func (r SliceRecord) Holds(at int64) bool { return at < r.Until }

// Lists reports whether a grant stands on the record.
func (r SliceRecord) Lists(grant ID) bool { return slices.Contains(r.Grants, grant) }
