// SPDX-License-Identifier: Apache-2.0

package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// FactKind is what was decided.
type FactKind string

const (
	FactTried   FactKind = "tried"   // asked as a challenger from now on
	FactHeld    FactKind = "held"    // asked first from now on
	FactDropped FactKind = "dropped" // asked no more, as a challenger or a fallback
)

// Fact is one decision about a role: who is tried or holds it, since when, why.
type Fact struct {
	Role   string    `json:"role"`
	Kind   FactKind  `json:"kind"`
	Tenant Tenant    `json:"tenant"`
	At     time.Time `json:"at"`
	Why    string    `json:"why,omitempty"`
}

func (f Fact) String() string {
	s := fmt.Sprintf("fact %s %s", f.Kind, f.Tenant)
	if f.Why != "" {
		s += fmt.Sprintf(" why=%q", f.Why)
	}
	return s
}

// Record encodes a fact for a journal.
func (f Fact) Record() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings and a time
	}
	return b
}

// ParseFact reads a record; the error is [ErrFact].
func ParseFact(b []byte) (Fact, error) {
	var f Fact
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, fmt.Errorf("%w: %w", ErrFact, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return f, fmt.Errorf("%w: something follows it", ErrFact)
	}
	if _, err := Lookup(f.Role); err != nil {
		return f, fmt.Errorf("%w: %w", ErrFact, err)
	}
	switch f.Kind {
	case FactTried, FactHeld, FactDropped:
	default:
		return f, fmt.Errorf("%w: kind %q", ErrFact, f.Kind)
	}
	t, err := ParseTenant(string(f.Tenant))
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrFact, err)
	}
	f.Tenant = t
	return f, nil
}
