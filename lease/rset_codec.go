// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MarshalCBOR writes a map from resource number to amount, zeros left out. It
// and its inverse are written by hand because they are most of what a statement
// costs beside its signature.
func (s RSet) MarshalCBOR() ([]byte, error) {
	pairs := uint64(0)
	for _, v := range s {
		if v != 0 {
			pairs++
		}
	}
	b := AppendHead(make([]byte, 0, 1+10*pairs), MajorMap, pairs)
	for r, v := range s {
		if v != 0 {
			b = AppendHead(AppendHead(b, MajorUint, uint64(r)), MajorUint, v)
		}
	}
	return b, nil
}

// UnmarshalCBOR refuses resources that it does not know, zeros on the wire, and
// numbers that are not ascending or not in shortest form.
func (s *RSet) UnmarshalCBOR(b []byte) error {
	pairs, b, err := takeHead(b, MajorMap)
	if err != nil {
		return fmt.Errorf("rset: %w", err)
	}
	var set RSet
	var r, v uint64
	for next := uint64(0); pairs > 0; pairs, next = pairs-1, r+1 {
		if r, b, err = takeHead(b, MajorUint); err == nil {
			v, b, err = takeHead(b, MajorUint)
		}
		switch {
		case err != nil:
			return fmt.Errorf("rset: %w", err)
		case r >= uint64(NumResources):
			return fmt.Errorf("resource number %d: %w", r, ErrUnknownResource)
		case r < next:
			return fmt.Errorf("%s out of order: %w", Resource(r), ErrNotCanonical)
		case v == 0:
			return fmt.Errorf("%s is zero on the wire: %w", Resource(r), ErrNotCanonical)
		}
		set[r] = v
	}
	if len(b) != 0 {
		return fmt.Errorf("rset: %d bytes too many: %w", len(b), ErrSyntax)
	}
	*s = set
	return nil
}

// MarshalJSON writes an object with the resources' names, zeros left out.
func (s RSet) MarshalJSON() ([]byte, error) {
	m := make(map[string]uint64, NumResources)
	for r, v := range s {
		if v != 0 {
			m[Resource(r).String()] = v
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON refuses resources that it does not know.
func (s *RSet) UnmarshalJSON(b []byte) error {
	var m map[string]uint64
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	var set RSet
	for _, name := range slices.Sorted(maps.Keys(m)) {
		r, err := ParseResource(name)
		if err != nil {
			return err
		}
		set[r] = m[name]
	}
	*s = set
	return nil
}
