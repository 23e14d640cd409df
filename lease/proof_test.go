// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"slices"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// search gives the children of a drawing to the book of their parent, that of
// the statement drawn last, and returns what the last of them completes.
func search(t *testing.T, drawing string) (*lease.Found, lease.Chain) {
	t.Helper()
	tree := leasetest.Draw(t, drawing)
	parent, err := lease.VerifyChain(tree.Last().Up.Chain(), leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	children := lease.NewChildren(parent.Leaf())
	var found *lease.Found
	for _, d := range tree {
		if d.Up != tree.Last().Up {
			continue
		}
		if found != nil {
			t.Fatalf("%s: found before the last child", drawing)
		}
		chain, err := parent.Extend(d.Signed.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		found = children.Add(chain.Leaf())
	}
	return found, parent
}

// The children in the order in which they become known: the last completes the
// conflict, or there is none.
var conflicts = []struct {
	rule    string
	kind    lease.ProofKind // 0 for none
	drawing string
	shows   int // children
}{
	{"D1", lease.ProofTwice, "cap(n1 cpu=4) -> { t0(alice cpu=1), t0(bob cpu=1) }", 2},
	{"D1", lease.ProofTwice, "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1 0h..2h), t5(carol cpu=1 1h..3h) }", 2},
	{"D1", lease.ProofTwice, "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), r5(cpu=1) }", 2},
	{"D1", lease.ProofTwice, "cap(n1 cpu=4) -> t0(alice) -> { r5(cpu=1), t5(bob cpu=1) }", 2},
	{"D1", 0, "cap(n1 cpu=4) -> t0(alice) -> { r5(cpu=1), r5(cpu=3), r5(cpu=4 request=2) }", 0},
	{"D1", 0, "cap(n1 cpu=4) -> t0(alice) -> { t5(bob 0h..2h), t5(carol 2h..3h) }", 0},
	{"D1", 0, "cap(n1 cpu=4) -> t0(alice) -> { t5(bob), t5(bob) }", 0}, // the same statement

	{"D3", 0, "cap(n1 cpu=4 @150) -> { t0(a cpu=2 @100), t1(b cpu=2 @100), t2(c cpu=2 @100) }", 0},
	{"D3", lease.ProofOver, "cap(n1 cpu=4000 @150) -> { t0(a cpu=2000 @100), t1(b cpu=2000 @100), t2(c cpu=2001 @100) }", 3},
	{"D3", lease.ProofOver, "cap(n1 cpu=4) -> { t0(a cpu=1), t1(b cpu=2), t2(c cpu=3) }", 2},
	{"D3", lease.ProofOver, "cap(n1 cpu=4) -> { t0(a cpu=3 0h..2h), t1(b cpu=3 2h..4h), t2(c cpu=2 1h..3h) }", 2},
	{"D3", 0, "cap(n1 cpu=4) -> { t0(a cpu=3 0h..2h), t1(b cpu=3 2h..4h), t2(c cpu=3 4h..5h) }", 0},
	{"D3", 0, "cap(n1 cpu=4 memory=4) -> { t0(a cpu=4), t1(b memory=4) }", 0},
	{"D3", lease.ProofOver, "cap(n1 cpu=4 memory=4) -> { t0(a cpu=2 memory=3), t1(b cpu=2 memory=2) }", 2},
	// Only three at a time.
	{"D3", lease.ProofOver, "cap(n1 cpu=5) -> { t0(a cpu=2 0h..3h), t1(b cpu=2 1h..4h), t2(c cpu=2 2h..5h) }", 3},
	// A slot's redeems weigh their largest, at each instant.
	{"D2", 0, "cap(n1 cpu=4) -> t0(a) -> { r0(cpu=1), r0(cpu=2), r1(cpu=2) }", 0},
	{"D2", lease.ProofOver, "cap(n1 cpu=4) -> t0(a) -> { r0(cpu=3 0h..2h), r0(cpu=1 1h..4h request=2), r1(cpu=2 1h..3h) }", 2},
	{"D2", 0, "cap(n1 cpu=4) -> t0(a) -> { r0(cpu=3 0h..2h), r0(cpu=1 1h..4h request=2), r1(cpu=2 2h..3h) }", 0},
	// A redeem weighs 100, a ticket its degree.
	{"D2", 0, "cap(n1 cpu=4 @200) -> t0(a cpu=2 @200) -> { t0(b cpu=1 @200), r1(cpu=1), r2(cpu=1) }", 0},
	{"D2", lease.ProofOver, "cap(n1 cpu=4 @200) -> t0(a cpu=2 @200) -> { t0(b cpu=1 @200), t1(c cpu=1 @199), r2(cpu=1) }", 3},
}

func TestConflicts(t *testing.T) {
	for _, c := range conflicts {
		found, parent := search(t, c.drawing)
		if found == nil {
			if c.kind != 0 {
				t.Errorf("%s: no conflict", c.drawing)
			}
			continue
		}
		if found.Kind != c.kind || len(found.Children) != c.shows {
			t.Errorf("%s: found %s of %d, want %s of %d", c.drawing, found.Kind, len(found.Children), c.kind, c.shows)
		}
		p := found.Proof(parent)
		again, err := lease.ParseProof(p.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), p.Bytes()) || again.ID() != p.ID() {
			t.Errorf("%s: does not travel: %v", c.drawing, err)
		}
		v, err := again.Verify()
		if err != nil {
			t.Errorf("%s: %v", c.drawing, err)
			continue
		}
		holder := leasetest.Who("n1")
		if ticket, ok := parent.Leaf().Statement.(*lease.Ticket); ok {
			holder = ticket.Holder
		}
		if v.Principal != holder || v.Node != leasetest.Who("n1") || v.About != parent.Leaf().ID || v.Term != found.Term {
			t.Errorf("%s: verdict %+v", c.drawing, v)
		}
	}
}

func TestCapacityConflict(t *testing.T) {
	tree := slices.Concat(leasetest.Draw(t, "cap(n1 cpu=4 0h..2h)"), leasetest.Draw(t, "cap(n1 cpu=4 2h..4h)"),
		leasetest.Draw(t, "cap(n1 cpu=4 0h..9h tranche=1)"), leasetest.Draw(t, "cap(n2 cpu=4 0h..9h)"), leasetest.Draw(t, "cap(n1 cpu=3 1h..4h)"))
	known := new(lease.Capacities)
	for i, d := range tree {
		o, err := d.Signed.Open()
		if err != nil {
			t.Fatal(err)
		}
		found := known.Add(o)
		if (found != nil) != (i == 4) {
			t.Fatalf("capacity %d: found %v", i, found)
		}
		if found == nil {
			continue
		}
		v, err := found.Proof(lease.Chain{}).Verify()
		if err != nil || v.Principal != leasetest.Who("n1") || v.Kind != lease.ProofCapacity {
			t.Errorf("verdict %+v, %v", v, err)
		}
	}
}

// What a cache has seen costs nothing; the verdicts are the same.
func TestCache(t *testing.T) {
	n1 := leasetest.Who("n1")
	cache := lease.NewCache(64)
	for range 2 {
		for _, c := range chains {
			chain := leasetest.Draw(t, c.drawing).Last().Chain()
			_, want := lease.VerifyChain(chain, n1)
			_, got := cache.VerifyChain(chain, n1)
			if leasetest.Verdict(got) != leasetest.Verdict(want) {
				t.Errorf("%s: %v, want %v", c.drawing, got, want)
			}
			if cache.Len() > 64 {
				t.Fatalf("%d statements kept", cache.Len())
			}
		}
	}
}

// Chains that turn back on themselves, and that go the wrong way.
func TestChainsInCircles(t *testing.T) {
	tree := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), t5(carol cpu=1) }")
	root, ticket := tree[0].Signed.Bytes(), tree[1].Signed.Bytes()
	p, err := tree.Proof("twice:1:2,3")
	if err != nil {
		t.Fatal(err)
	}
	for _, chain := range [][][]byte{{ticket}, {ticket, root}, {root, root}, {root, ticket, root}, {root, ticket, ticket}, {root, ticket, p.Evidence[0], ticket}} {
		if _, err := lease.VerifyChain(chain, leasetest.Who("n1")); leasetest.Verdict(err) != "chain" {
			t.Errorf("chain of %d: %v", len(chain), err)
		}
		p.Chain = chain
		if _, err := p.Verify(); leasetest.Verdict(err) != "chain" {
			t.Errorf("proof with a chain of %d: %v", len(chain), err)
		}
	}
}
