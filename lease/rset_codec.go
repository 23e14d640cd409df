// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MarshalCBOR writes a map from resource number to amount, zeros left out.
func (s RSet) MarshalCBOR() ([]byte, error) {
	m := make(map[uint8]uint64, NumResources)
	for r, v := range s {
		if v != 0 {
			m[uint8(r)] = v
		}
	}
	return encode.Marshal(m)
}

// UnmarshalCBOR refuses resources that it does not know and zeros on the wire.
func (s *RSet) UnmarshalCBOR(b []byte) error {
	var m map[uint64]uint64
	if err := decode.Unmarshal(b, &m); err != nil {
		return err
	}
	var set RSet
	for _, r := range slices.Sorted(maps.Keys(m)) { // in order: one input, one error
		if r >= uint64(NumResources) {
			return fmt.Errorf("resource number %d: %w", r, ErrUnknownResource)
		}
		if m[r] == 0 {
			return fmt.Errorf("%s is zero on the wire: %w", Resource(r), ErrNotCanonical)
		}
		set[r] = m[r]
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
