// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"croft/lease"
)

// PresenceDomain separates presences from every other use of a node's key.
const PresenceDomain = "croft/presence/1\n"

// Presence is a node's answer to one who reached it at an address and wants to
// know that it is the node's. A node answers for its own addresses only, so that
// nobody elsewhere can pass the question on to it and the answer back.
type Presence struct {
	Node  lease.Principal `cbor:"1,keyasint"`
	Addr  netip.Addr      `cbor:"2,keyasint"` // at which it was asked
	Nonce [16]byte        `cbor:"3,keyasint"` // of who asked
}

// SealPresence signs a presence and returns it as text.
func SealPresence(p Presence, key lease.Signer) (string, error) {
	s, err := lease.SealAs(PresenceDomain, p, key)
	if err != nil {
		return "", fmt.Errorf("sealing a presence: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.Bytes()), nil
}

// OpenPresence returns which node answered, when it was asked at an address with a
// nonce.
func OpenPresence(text string, addr netip.Addr, nonce [16]byte) (lease.Principal, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil {
		return lease.Principal{}, fmt.Errorf("presence: %w: %w", err, lease.ErrSyntax)
	}
	s, err := lease.ParseSigned(raw, MaxPresence)
	if err != nil {
		return lease.Principal{}, fmt.Errorf("presence: %w", err)
	}
	var p Presence
	if err := lease.Decode(s.Payload, &p, MaxPresence); err != nil {
		return lease.Principal{}, fmt.Errorf("presence: %w", err)
	}
	if err := lease.CheckPrincipal("node", p.Node); err != nil {
		return lease.Principal{}, fmt.Errorf("presence: %w", err)
	}
	if p.Addr != addr || p.Nonce != nonce {
		return lease.Principal{}, fmt.Errorf("presence of %s at %s: another was asked for: %w", p.Node.Short(), p.Addr, lease.ErrField)
	}
	if err := s.VerifyAs(PresenceDomain, p.Node); err != nil {
		return lease.Principal{}, fmt.Errorf("presence of %s: %w", p.Node.Short(), err)
	}
	return p.Node, nil
}
