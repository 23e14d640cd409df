// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"croft/lease"
)

// Domain separates signed policies from every other use of a key.
const Domain = "croft/policy/1\n"

// Document is a policy that a community signs for others to follow.
type Document struct {
	Issuer lease.Principal `cbor:"1,keyasint"`
	From   int64           `cbor:"4,keyasint"` // Unix seconds
	Until  int64           `cbor:"5,keyasint"`
	Name   string          `cbor:"11,keyasint"` // formed like a slice's label
	Text   string          `cbor:"25,keyasint"` // TOML, for [ReadCommunity]
}

// Opened is a document whose encoding, fields, text and signature hold.
type Opened struct {
	Document
	ID     lease.ID
	Source *Source
}

// Term returns the interval during which the document holds.
func (d Document) Term() lease.Term { return lease.Term{From: d.From, Until: d.Until} }

// Holds returns nil if the document is signed by who and holds at the instant
// (Unix seconds): else ErrTerm, or lease.ErrSignature.
func (d Document) Holds(who lease.Principal, at int64) error {
	if d.Issuer != who {
		return fmt.Errorf("policy %s is signed by %s, not by %s: %w", d.Name, d.Issuer.Short(), who.Short(), lease.ErrSignature)
	}
	if !d.Term().Covers(at) {
		return fmt.Errorf("policy %s holds in %s: %w", d.Name, d.Term(), ErrTerm)
	}
	return nil
}

// check judges the fields and reads the text.
func (d Document) check() (*Source, error) {
	switch {
	case d.Issuer.IsZero():
		return nil, fmt.Errorf("no issuer: %w", lease.ErrField)
	case d.From <= 0 || d.From >= d.Until || d.Until-d.From > lease.MaxTerm:
		return nil, fmt.Errorf("term %s, limit %d s: %w", d.Term(), int64(lease.MaxTerm), lease.ErrField)
	case strings.TrimSpace(d.Text) == "":
		return nil, fmt.Errorf("no text: %w", lease.ErrField)
	}
	if err := lease.CheckLabel(d.Name); err != nil {
		return nil, err
	}
	return ReadCommunity(d.Name+"@"+d.Issuer.Short(), []byte(d.Text))
}

// Seal signs a document. What no node could follow is refused.
func Seal(d Document, key lease.Signer) (lease.Signed, error) {
	if _, err := d.check(); err != nil {
		return lease.Signed{}, fmt.Errorf("sealing policy: %w", err)
	}
	if d.Issuer != key.Principal() {
		return lease.Signed{}, fmt.Errorf("sealing policy of %s with the key of %s: %w", d.Issuer.Short(), key.Principal().Short(), lease.ErrSignature)
	}
	s, err := lease.SealAs(Domain, d, key)
	if err != nil {
		return lease.Signed{}, fmt.Errorf("sealing policy: %w", err)
	}
	if n := len(s.Bytes()); n > MaxDocument {
		return lease.Signed{}, fmt.Errorf("sealing policy: %d bytes, limit %d: %w", n, MaxDocument, lease.ErrTooBig)
	}
	return s, nil
}

// Open reads a signed document. It does not look at a clock: see
// [Document.Holds].
func Open(b []byte) (Opened, error) {
	s, err := lease.ParseSigned(b, MaxDocument)
	if err != nil {
		return Opened{}, fmt.Errorf("opening policy: %w", err)
	}
	o := Opened{ID: s.ID()}
	if err := lease.Decode(s.Payload, &o.Document, MaxDocument); err != nil {
		return Opened{}, fmt.Errorf("opening policy: %w", err)
	}
	if err := s.VerifyAs(Domain, o.Issuer); err != nil { // before the text is read: it may be long
		return Opened{}, fmt.Errorf("opening policy of %s: %w", o.Issuer.Short(), err)
	}
	if o.Source, err = o.check(); err != nil {
		return Opened{}, fmt.Errorf("opening policy of %s: %w", o.Issuer.Short(), err)
	}
	return o, nil
}
