// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
)

type testKey ed25519.PrivateKey

func (k testKey) Principal() Principal {
	return Principal(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
}
func (k testKey) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func keyOf(name string) testKey {
	seed := sha256.Sum256([]byte(name))
	return testKey(ed25519.NewKeyFromSeed(seed[:]))
}

func TestSealedTicketOpensAndIsSmall(t *testing.T) {
	agent, node := keyOf("agent"), keyOf("node")
	st := &Ticket{K: KindTicket, Issuer: agent.Principal(), Node: node.Principal(), Holder: keyOf("u").Principal(),
		Parent: ID{1}, Slot: 3, From: 1_800_000_000, Until: 1_800_086_400, Degree: 100}
	st.RSet[CPU], st.RSet[Memory], st.RSet[EgressRate], st.RSet[EgressPackets] = 500, 256<<20, 10e6, 2000
	s, err := Seal(st, agent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if *got.Statement.(*Ticket) != *st {
		t.Fatalf("got %+v, want %+v", got.Statement, st)
	}
	if n := len(s.Bytes()); n > 280 {
		t.Fatalf("ticket of four resources takes %d bytes, limit 280", n)
	}
}
