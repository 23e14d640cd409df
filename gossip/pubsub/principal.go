// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/lease"
)

// principal is the key in a peer's id. All with another kind of key are one, so
// that they share one place; it is not zero, which is the node itself.
func principal(id peer.ID) (p lease.Principal) {
	if len(id) == len(ed25519ID)+len(p) && id[:len(ed25519ID)] == ed25519ID {
		copy(p[:], id[len(ed25519ID):])
		return p
	}
	return lease.Principal{1}
}

// ed25519ID is how the id of a peer with an Ed25519 key begins, as libp2p has it; the
// key follows: an identity multihash of 36 bytes, and in it a protobuf of the key's type
// and 32 bytes. It is asked for with each message, several times.
const ed25519ID peer.ID = "\x00\x24\x08\x01\x12\x20"

// peerOf is the peer id of a principal.
func peerOf(p lease.Principal) (peer.ID, error) {
	key, err := crypto.UnmarshalEd25519PublicKey(p[:])
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Short(), err)
	}
	return peer.IDFromPublicKey(key)
}
