// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"crypto/rand"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/lease"
	"croft/lease/leasetest"
)

// A peer's id is its principal, as libp2p makes the one of the other; peers with keys of
// other kinds are one.
func TestPrincipalOfPeer(t *testing.T) {
	for _, name := range []string{"alice", "bob"} {
		want := leasetest.Who(name)
		id, err := peerOf(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := principal(id); got != want {
			t.Errorf("%s is %s, want %s", id, got.Short(), want.Short())
		}
	}
	other := lease.Principal{1}
	for _, kind := range []int{crypto.Secp256k1, crypto.ECDSA} {
		_, key, err := crypto.GenerateKeyPairWithReader(kind, 256, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := principal(id); got != other {
			t.Errorf("%s with a key of type %d is %s", id, kind, got.Short())
		}
	}
	for _, id := range []peer.ID{"", "short", ed25519ID} {
		if got := principal(id); got != other {
			t.Errorf("%q is %s", string(id), got.Short())
		}
	}
}
