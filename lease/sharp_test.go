// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// What SHARP claims (Fu, Chase, Chun, Schwab, Vahdat: "SHARP: An Architecture
// for Secure Resource Peering", SOSP 2003), in our words, and whether it holds
// here. "Same" is as in the paper; "differs" is where Croft does otherwise, with
// the reason. Conflicts between claims are the ledger's, not the verifier's.
var sharp = []struct {
	same    bool
	claim   string
	drawing string // a chain at n1
	verdict string
}{
	{true, "a claim names a resource set, a term and its holder by public key; the chain ends at the site that has the resources",
		"cap(n1 cpu=4 memory=8GiB 0h..24h) -> t0(alice cpu=2 memory=4GiB 1h..9h) -> r0(cpu=1 memory=1GiB 2h..3h)", "ok"},
	{true, "a holder may divide its claim and pass parts on without asking the site",
		"cap(n1 cpu=4) -> t0(agent) -> t5(alice cpu=1) -> t0(bob cpu=1) -> r0()", "ok"},
	{true, "a delegated claim lies within its parent: not more resources",
		"cap(n1 cpu=4) -> t0(agent cpu=2) -> t0(alice cpu=3)", "exceeds"},
	{true, "nor a longer term",
		"cap(n1 cpu=4 0h..4h) -> t0(agent 0h..2h) -> t0(alice 0h..3h)", "exceeds"},
	{true, "nor a kind of resource that the parent has not",
		"cap(n1 cpu=4) -> t0(agent cpu=2) -> t0(alice cpu=2 disk=1)", "exceeds"},
	{true, "only the holder of a claim can delegate it or redeem it: a copy of the bytes is worth nothing to a thief",
		"cap(n1 cpu=4) -> t0(alice) -> r0(by=thief)", "not-holder"},
	{true, "nobody can make a claim in another's name, so that every promise can be held against who made it",
		"cap(n1 cpu=4) -> t0(alice sig=thief) -> r0()", "signature"},
	{true, "a chain is good at one site only",
		"cap(n2 cpu=4) -> t0(alice) -> r0()", "wrong-node"},
	{true, "a ticket may be redeemed in part",
		"cap(n1 cpu=4) -> t0(alice cpu=4) -> r0(cpu=1)", "ok"},
	{true, "tickets are soft: more may be promised than there is, and each such ticket is sound by itself",
		"cap(n1 cpu=4 @200) -> { t0(alice cpu=4) -> r0(), t1(bob cpu=4) -> r0() }", "ok"},

	{false, "the paper leaves it to each issuer how far it oversubscribes; here the node grants a budget once and no holder widens it",
		"cap(n1 cpu=4 @150) -> t0(agent @150) -> t0(alice @200)", "exceeds"},
	{false, "and handing a claim to one's own second key spends depth, not budget",
		"cap(n1 cpu=4 @150) -> t0(agent @100) -> t0(agent @150)", "exceeds"},
	{false, "in the paper a ticket is handed in for a lease; here the wish is a signed child of the ticket, in a slot, so that it counts and can be shown",
		"cap(n1 cpu=4) -> t0(alice) -> lease()", "chain"},
	{false, "the root is a claim too: what a node sets aside is signed, bounded in time, and can be shown against the node",
		"cap(n1 cpu=4 sig=thief) -> t0(alice)", "signature"},
	{false, "every child takes one of 64 slots, which is what makes a proof of over-issue short",
		"cap(n1 cpu=4) -> t64(alice)", "field"},
}

func TestSharp(t *testing.T) {
	for _, c := range sharp {
		tree := leasetest.Draw(t, c.drawing)
		for _, d := range tree {
			if !leaf(tree, d) {
				continue
			}
			_, err := lease.VerifyChain(d.Chain(), leasetest.Who("n1"))
			if got := leasetest.Verdict(err); got != c.verdict {
				t.Errorf("%s\n\t%s: got %s (%v), want %s", c.claim, c.drawing, got, err, c.verdict)
			}
		}
	}
}

// Same: claims are verified by whoever has the site's public key, with no third
// party and no state: nothing but the bytes enters, and they enter by value.
func TestSharpVerificationIsOffline(t *testing.T) {
	path := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(alice) -> r0()").Last().Chain()
	chain, err := lease.VerifyChain(path, leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	before := chain.Bytes()
	for _, b := range path {
		clear(b)
	}
	for i, b := range chain.Bytes() {
		if !bytes.Equal(b, before[i]) {
			t.Fatalf("statement %d changed with the caller's buffer", i)
		}
	}
	again, err := lease.VerifyChain(before, leasetest.Who("n1"))
	if err != nil || again.Leaf().ID != chain.Leaf().ID {
		t.Errorf("got %v", err)
	}
}

// Differs: no field names a claim. Its id is the hash of its bytes, so that two
// claims are the same exactly if their bytes are, and nobody can give one name
// to two.
func TestSharpIdentityIsTheBytes(t *testing.T) {
	ids := map[lease.ID]string{}
	for _, drawing := range []string{
		"cap(n1 cpu=4)",
		"cap(n2 cpu=4)",
		"cap(n1 cpu=4 tranche=1)",
		"cap(n1 cpu=4) -> t0(alice)",
		"cap(n1 cpu=4) -> t1(alice)",
		"cap(n1 cpu=4) -> t0(alice cpu=3)",
		"cap(n1 cpu=4 tranche=1) -> t0(alice)", // the parent is part of the child's bytes
	} {
		d := leasetest.Draw(t, drawing).Last()
		if other, taken := ids[d.ID]; taken {
			t.Errorf("%s and %s have one id", drawing, other)
		}
		ids[d.ID] = drawing
		if again := leasetest.Draw(t, drawing).Last(); again.ID != d.ID {
			t.Errorf("%s: another id the second time", drawing)
		}
	}
}

// Differs: a signature has no part in identity. Ed25519 lets an issuer sign the
// same payload in many ways; that must not make two claims of one.
func TestSharpIdentityIgnoresTheSignature(t *testing.T) {
	d := leasetest.Draw(t, "cap(n1 cpu=4)").Last()
	other := d.Signed
	other.Sig = bytes.Repeat([]byte{1}, len(other.Sig))
	if other.ID() != d.ID {
		t.Error("another signature gives another id")
	}
}

// Further than the paper: ends before the term's end are signed statements too,
// the holder's close and the node's revoke, each by who may and nobody else.
func TestSharpEndsAreSigned(t *testing.T) {
	for drawing, want := range map[string]string{
		"ask(alice n1 cpu=1) -> lease() -> close()":           "ok",
		"ask(alice n1 cpu=1) -> lease() -> revoke()":          "ok",
		"ask(alice n1 cpu=1) -> lease() -> close(by=n1)":      "not-holder",
		"ask(alice n1 cpu=1) -> lease() -> revoke(sig=alice)": "signature",
	} {
		d := leasetest.Draw(t, drawing).Last()
		claim, err := d.Up.Signed.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lease.VerifyEnd(claim, d.Signed.Bytes()); leasetest.Verdict(err) != want {
			t.Errorf("%s: got %v, want %s", drawing, err, want)
		}
	}
}
