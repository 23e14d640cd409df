// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"croft/lease"
	"croft/lease/leasetest"
)

// makeproof: "makeproof FILE DRAWING [drop]" writes the bytes of the proof that
// the statements of a drawing hold, all under its first; with drop, one without
// its last statement.
func makeproof() {
	proof, err := proofIn(os.Args[2])
	if err == nil && len(os.Args) > 3 {
		proof.Evidence = proof.Evidence[:len(proof.Evidence)-1]
	}
	if err == nil {
		err = os.WriteFile(os.Args[1], proof.Bytes(), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func proofIn(drawing string) (lease.Proof, error) {
	tree, err := leasetest.Parse(drawing)
	if err != nil {
		return lease.Proof{}, err
	}
	chain, err := lease.VerifyChain(tree[0].Chain(), tree[0].By())
	if err != nil {
		return lease.Proof{}, err
	}
	children := lease.NewChildren(chain.Leaf())
	for _, d := range tree[1:] {
		o, err := lease.Open(d.Signed.Bytes())
		if err != nil {
			return lease.Proof{}, err
		}
		if found := children.Add(o); found != nil {
			return found.Proof(chain), nil
		}
	}
	return lease.Proof{}, fmt.Errorf("no conflict in %s", drawing)
}
