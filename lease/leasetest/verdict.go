// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"errors"

	"croft/lease"
)

// The particular stands before the general: an unknown resource is bad syntax too.
var verdicts = []struct {
	word string
	err  error
}{
	{"proof-shape", lease.ErrProofShape},
	{"proof-parent", lease.ErrProofParent},
	{"proof-duplicate", lease.ErrProofDuplicate},
	{"proof-order", lease.ErrProofOrder},
	{"proof-disjoint", lease.ErrProofDisjoint},
	{"proof-instant", lease.ErrProofInstant},
	{"proof-slot", lease.ErrProofSlot},
	{"proof-below", lease.ErrProofBelow},
	{"proof-redundant", lease.ErrProofRedundant},
	{"proof-tranche", lease.ErrProofTranche},
	{"proof-exempt", lease.ErrProofExempt},
	{"proof-attachment", lease.ErrProofAttachment},
	{"proof-borne-out", lease.ErrProofBorneOut},
	{"proof-refutation", lease.ErrProofRefutation},
	{"proof-grace", lease.ErrProofGrace},
	{"filling-claim", lease.ErrFillingClaim},
	{"filling-instant", lease.ErrFillingInstant},
	{"filling-twice", lease.ErrFillingTwice},
	{"filling-hold", lease.ErrFillingHold},
	{"filling-below", lease.ErrFillingBelow},
	{"off-path", lease.ErrOffPath},
	{"unknown-resource", lease.ErrUnknownResource},
	{"not-canonical", lease.ErrNotCanonical},
	{"too-big", lease.ErrTooBig},
	{"syntax", lease.ErrSyntax},
	{"kind", lease.ErrKind},
	{"field", lease.ErrField},
	{"signature", lease.ErrSignature},
	{"wrong-node", lease.ErrWrongNode},
	{"not-holder", lease.ErrNotHolder},
	{"exceeds", lease.ErrExceeds},
	{"depth", lease.ErrDepth},
	{"answer", lease.ErrAnswer},
	{"chain", lease.ErrChain},
}

// Verdict says in one word what an error of package lease means, "ok" for none:
// the words in which drawings and vectors give their expectation.
func Verdict(err error) string {
	if err == nil {
		return "ok"
	}
	for _, v := range verdicts {
		if errors.Is(err, v.err) {
			return v.word
		}
	}
	return "other: " + err.Error()
}
