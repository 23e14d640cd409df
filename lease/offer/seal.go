// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"sort"
	"unicode"

	"croft/lease"
)

// Opened is an offer whose encoding, fields and signature hold, with the bytes
// that prove it.
type Opened struct {
	Offer
	ID    lease.ID
	Bytes []byte // as it travels; not to be changed
}

// CheckCertificate judges a site's word that a node is its own.
type CheckCertificate func(site, node lease.Principal, certificate []byte) error

// Seal checks, encodes and signs an offer. The signer is the node.
func Seal(o *Offer, key lease.Signer) (Opened, error) {
	if err := o.check(); err != nil {
		return Opened{}, fmt.Errorf("sealing offer: %w", err)
	}
	if o.Node != key.Principal() {
		return Opened{}, fmt.Errorf("sealing offer of %s with the key of %s: %w",
			o.Node.Short(), key.Principal().Short(), lease.ErrSignature)
	}
	s, err := lease.SealAs(Domain, o, key)
	if err != nil {
		return Opened{}, fmt.Errorf("sealing offer: %w", err)
	}
	b := s.Bytes()
	if len(b) > MaxOffer {
		return Opened{}, fmt.Errorf("sealing offer: %d bytes, limit %d: %w", len(b), MaxOffer, lease.ErrTooBig)
	}
	return Opened{Offer: *o, ID: s.ID(), Bytes: b}, nil
}

// Open reads a signed offer. Its errors match those of [lease.Open], or
// ErrCertificate where check is given and refuses. It does not look at a clock:
// see [Offer.Fresh].
func Open(b []byte, check CheckCertificate) (Opened, error) {
	s, err := lease.ParseSigned(b, MaxOffer)
	if err != nil {
		return Opened{}, fmt.Errorf("opening offer: %w", err)
	}
	op := Opened{ID: s.ID(), Bytes: b}
	if err := lease.Decode(s.Payload, &op.Offer, MaxOffer); err != nil {
		return Opened{}, fmt.Errorf("opening offer: %w", err)
	}
	if err := op.check(); err != nil {
		return Opened{}, fmt.Errorf("opening offer: %w", err)
	}
	if err := s.VerifyAs(Domain, op.Node); err != nil {
		return Opened{}, fmt.Errorf("opening offer of %s: %w", op.Node.Short(), err)
	}
	if check != nil && !op.Site.IsZero() {
		if err := check(op.Site, op.Node, op.Certificate); err != nil {
			return Opened{}, fmt.Errorf("opening offer of %s: %w: %w", op.Node.Short(), ErrCertificate, err)
		}
	}
	return op, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func printable(c rune) bool { return c != unicode.ReplacementChar && unicode.IsPrint(c) }
