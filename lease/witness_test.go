// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"errors"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// A buyer sees tickets of several sellers, and who sold too much of what.
func TestWitness(t *testing.T) {
	w := lease.NewWitness(64)
	see := func(d *leasetest.Drawn) []lease.Proof {
		t.Helper()
		chain, err := lease.VerifyChain(d.Chain(), leasetest.Who("n1"))
		if err != nil {
			t.Fatal(err)
		}
		proofs, err := w.See(chain)
		if err != nil {
			t.Fatal(err)
		}
		return proofs
	}
	honest := leasetest.Draw(t, "cap(n1 cpu=8) -> { t0(east cpu=4) -> { t0(alice cpu=2), t1(bob cpu=2) }, t1(west cpu=4) -> t0(carol cpu=4) }")
	for _, d := range honest {
		if proofs := see(d); len(proofs) != 0 {
			t.Errorf("%s of an honest tree is in a conflict", d.Kind())
		}
	}
	before := w.Len()
	for _, d := range honest { // again
		if proofs := see(d); len(proofs) != 0 || w.Len() != before {
			t.Errorf("seen twice: %d proofs, %d remembered of %d", len(proofs), w.Len(), before)
		}
	}
	sold := leasetest.Draw(t, "cap(n1 cpu=8) -> t1(west cpu=4) -> t0(dave cpu=1)").Last()
	proofs := see(sold)
	if len(proofs) != 1 {
		t.Fatalf("%d proofs", len(proofs))
	}
	if v, err := proofs[0].Verify(); err != nil || v.Kind != lease.ProofTwice || v.Principal != leasetest.Who("west") {
		t.Errorf("verdict %+v, %v", v, err)
	}
	// The node sets one tranche aside twice.
	proofs = see(leasetest.Draw(t, "cap(n1 cpu=9) -> t0(eve)").Last())
	if len(proofs) != 1 || proofs[0].K != lease.ProofCapacity {
		t.Errorf("%d proofs", len(proofs))
	}
	if v, err := proofs[0].Verify(); err != nil || v.Principal != leasetest.Who("n1") {
		t.Errorf("verdict %+v, %v", v, err)
	}
	w.Forget(leasetest.Epoch + leasetest.Day)
	if w.Len() != 0 {
		t.Errorf("%d remembered after all has ended", w.Len())
	}
}

func TestWitnessIsBounded(t *testing.T) {
	w := lease.NewWitness(2)
	chain, err := lease.VerifyChain(leasetest.Draw(t, "cap(n1 cpu=8) -> t0(alice) -> t0(bob) -> t0(carol)").Last().Chain(), leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.See(chain); !errors.Is(err, lease.ErrTooBig) || w.Len() != 2 {
		t.Errorf("%d remembered, %v", w.Len(), err)
	}
}
