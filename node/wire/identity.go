// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/lease"
)

// PeerID returns the libp2p name of a principal.
func PeerID(p lease.Principal) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", p.Short(), ErrNotPrincipal, err)
	}
	return peer.IDFromPublicKey(key)
}

// Principal returns the principal that a peer id names. It fails with
// ErrNotPrincipal for keys of other kinds.
func Principal(id peer.ID) (p lease.Principal, err error) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return p, fmt.Errorf("%s: %w: %w", id, ErrNotPrincipal, err)
	}
	if key.Type() != crypto.Ed25519 {
		return p, fmt.Errorf("%s is a key of type %s: %w", id, key.Type(), ErrNotPrincipal)
	}
	raw, err := key.Raw()
	if err != nil || len(raw) != len(p) {
		return p, fmt.Errorf("%s: %w", id, ErrNotPrincipal)
	}
	copy(p[:], raw)
	return p, nil
}

func libp2pKey(key ed25519.PrivateKey) (crypto.PrivKey, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("private key of %d bytes: %w", len(key), ErrNotPrincipal)
	}
	return crypto.UnmarshalEd25519PrivateKey(key)
}
