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
// the reason. What becomes of conflicting claims is further down.
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

// What the paper claims about oversubscription and accountability. Each line is
// a drawing, a proof put together from it, its verdict, and who is accountable.
var sharpProofs = []struct {
	same                           bool
	claim                          string
	drawing, proof, verdict, blame string
}{
	{true, "claims that sum to more than the claim they were split from, and that claim, prove with its own signatures who promised too much",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3) -> r0(), t1(bob cpu=3) -> r0() }", "over:1:2,4:cpu@0h", "ok", "agent"},
	{true, "the proof is of the issuer of what conflicts: neither who is above it nor who bought from it answers for it",
		"cap(n1 cpu=4) -> t0(broker) -> t0(agent) -> { t0(alice cpu=3), t1(bob cpu=3) }", "over:2:3,4:cpu@0h", "ok", "agent"},
	{true, "the same holds at the root: a site that promised too much is no exception",
		"cap(n1 cpu=4) -> { t0(alice cpu=3), t1(bob cpu=3) }", "over:0:1,2:cpu@0h", "ok", "n1"},
	{true, "nobody can be made to look guilty by claims that another signed",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3), t1(bob cpu=3 sig=rival) }", "over:1:2,3:cpu@0h", "signature", ""},
	{true, "or by those that another issued",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3), t1(bob cpu=3 by=rival) }", "over:1:2,3:cpu@0h", "not-holder", ""},
	{true, "claims expire, which bounds what must be remembered: promises of different times never conflict",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3 0h..2h), t1(bob cpu=3 2h..4h) }", "over:1:2,3:cpu@2h", "proof-disjoint", ""},

	{false, "in the paper more than the parent is a conflict, by however little it was meant; here what the root granted as a degree is none, so that careful oversubscription does not ruin a name",
		"cap(n1 cpu=4 @150) -> t0(agent) -> { t0(alice cpu=3 @100), t1(bob cpu=3 @100) }", "over:1:2,3:cpu@0h", "proof-below", ""},
	{false, "and one unit beyond it is",
		"cap(n1 cpu=4 @150) -> t0(agent) -> { t0(alice cpu=3 @100), t1(bob cpu=4 @100) }", "over:1:2,3:cpu@0h", "ok", "agent"},
	{false, "a child passes on the degree it was given, and that is charged: the budget is spent once on all of the tree below",
		"cap(n1 cpu=4 @150) -> t0(agent) -> { t0(alice cpu=3 @150), t1(bob cpu=3 @100) }", "over:1:2,3:cpu@0h", "ok", "agent"},
	{false, "one slot, two tickets: a promise made twice is proved by two statements, before anybody draws on it",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=1), t0(bob cpu=1) }", "twice:1:2,3", "ok", "agent"},
	{false, "whoever draws on its own ticket and sells it too is proved by the redeem that it signed",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=1), r0(cpu=1) }", "twice:1:2,3", "ok", "agent"},
	{false, "drawing again in the same slot, to renew or after a refusal, is no second promise",
		"cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=4), r0(cpu=4 request=2) }", "twice:1:2,3", "proof-slot", ""},
	{false, "what proves is minimal: a bystander's claim cannot be dragged into it",
		"cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3), t1(bob cpu=3), t2(carol cpu=1) }", "over:1:2,3,4:cpu@0h", "proof-redundant", ""},
	{false, "a site that sets one thing aside twice is proved like anybody",
		"cap(n1 cpu=4) -> cap(n1 cpu=4 1h..2h)", "capacity::0,1", "ok", "n1"},
	{false, "leases are no evidence: one that was closed early, and its successor, would accuse a site that keeps its word",
		"cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease(), r1(cpu=3) -> lease() }", "over:1:3,5:cpu@0h", "kind", ""},
	{false, "in the paper the site may refuse; here it answers for it where nothing was oversubscribed",
		"cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity)", "refused:2:3", "ok", "n1"},
	{false, "where something was, it may",
		"cap(n1 cpu=4 @150) -> t0(alice @100) -> r0() -> reject(local:capacity)", "refused:2:3", "proof-exempt", ""},
	{false, "but if it says that a claim is used up, it shows by what",
		"cap(n1 cpu=4 @150) -> t0(alice @100) -> r0() -> reject(oversubscribed about=0 lacks=cpu instant=0h)", "unfilled:2:3", "ok", "n1"},
	{false, "and takes nothing back sooner than it said when it gave it",
		"cap(n1 cpu=4) -> t0(alice) -> r0() -> lease(grace=1h) -> revoke(said=1h at=1h30m)", "grace::3,4", "ok", "n1"},
}

func TestSharpAccountability(t *testing.T) {
	for _, c := range sharpProofs {
		p, err := leasetest.Draw(t, c.drawing).Proof(c.proof)
		if err != nil {
			t.Fatalf("%s: %v", c.drawing, err)
		}
		v, err := p.Verify()
		if got := leasetest.Verdict(err); got != c.verdict {
			t.Errorf("%s\n\t%s of %s: got %s (%v), want %s", c.claim, c.proof, c.drawing, got, err, c.verdict)
		}
		if err == nil && v.Principal != leasetest.Who(c.blame) {
			t.Errorf("%s\n\t%s of %s: blames %s, want %s", c.claim, c.proof, c.drawing, v.Principal.Short(), c.blame)
		}
	}
}

// Same: oversubscription makes fuller use of what there is, at the price of some
// refusals, which begin where what is drawn on average meets what there is.
func TestSharpOversubscriptionPays(t *testing.T) {
	const units, drawn = 100, .5
	before := lease.Crowding(units, 100, drawn)
	if before.Refused != 0 {
		t.Errorf("refusals without oversubscription: %+v", before)
	}
	for degree := uint16(110); degree <= 300; degree += 10 {
		now := lease.Crowding(units, degree, drawn)
		if now.Used < before.Used || now.Refused < before.Refused {
			t.Errorf("degree %d: %+v after %+v", degree, now, before)
		}
		if few := now.Refused < .03; few != (degree <= 200) {
			t.Errorf("degree %d refuses %.3f", degree, now.Refused)
		}
		before = now
	}
}

// Differs: what conflicts is found one level at a time. If two leaves of a tree
// draw more than the root has, then somewhere on the way one issuer's own children
// exceed its budget, so a proof never needs more than one parent's chain.
func TestSharpConflictsAreOfOneParent(t *testing.T) {
	tree := leasetest.Draw(t, "cap(n1 cpu=4) -> { t0(east cpu=3) -> t0(alice cpu=3) -> r0(), t1(west cpu=3) -> t0(bob cpu=3) -> r0() }")
	guilty := 0
	for _, parent := range tree {
		if parent.Kind() == lease.KindRedeem {
			continue
		}
		chain, err := lease.VerifyChain(parent.Chain(), leasetest.Who("n1"))
		if err != nil {
			t.Fatal(err)
		}
		children := lease.NewChildren(chain.Leaf())
		for _, d := range tree {
			if d.Up != parent {
				continue
			}
			below, err := chain.Extend(d.Signed.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			found := children.Add(below.Leaf())
			if found == nil {
				continue
			}
			guilty++
			if v, err := found.Proof(chain).Verify(); err != nil || v.Principal != leasetest.Who("n1") {
				t.Errorf("verdict %+v, %v", v, err)
			}
		}
	}
	if guilty != 1 {
		t.Errorf("%d conflicts", guilty)
	}
}

// Differs: nothing is handed back. A promise spends its issuer's budget to the
// end of its term, whatever became of it: a lease given up early frees the node,
// not the claim.
func TestSharpNothingIsHandedBack(t *testing.T) {
	tree := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(agent) -> { t0(alice cpu=3) -> r0() -> lease() -> close(at=1m), t1(bob cpu=3) }")
	p, err := tree.Proof("over:1:2,6:cpu@0h")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := p.Verify(); err != nil || v.Principal != leasetest.Who("agent") {
		t.Errorf("verdict %+v, %v", v, err)
	}
}
