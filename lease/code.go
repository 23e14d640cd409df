// SPDX-License-Identifier: Apache-2.0

package lease

import "errors"

// codes gives each error of this package the word that claims.md and the vectors
// have for it. Where an error wraps several, the first in this list counts: the
// particular stands before the general.
var codes = [...]struct {
	word string
	err  error
}{
	{"proof-refutation", ErrProofRefutation}, // wraps why the attachment fails by itself
	{"proof-shape", ErrProofShape},
	{"proof-parent", ErrProofParent},
	{"proof-duplicate", ErrProofDuplicate},
	{"proof-order", ErrProofOrder},
	{"proof-disjoint", ErrProofDisjoint},
	{"proof-instant", ErrProofInstant},
	{"proof-slot", ErrProofSlot},
	{"proof-below", ErrProofBelow},
	{"proof-redundant", ErrProofRedundant},
	{"proof-tranche", ErrProofTranche},
	{"proof-exempt", ErrProofExempt},
	{"proof-attachment", ErrProofAttachment},
	{"proof-borne-out", ErrProofBorneOut},
	{"proof-grace", ErrProofGrace},
	{"filling-claim", ErrFillingClaim},
	{"filling-instant", ErrFillingInstant},
	{"filling-twice", ErrFillingTwice},
	{"filling-hold", ErrFillingHold},
	{"filling-below", ErrFillingBelow},
	{"off-path", ErrOffPath},
	{"unknown-resource", ErrUnknownResource},
	{"not-canonical", ErrNotCanonical},
	{"too-big", ErrTooBig},
	{"syntax", ErrSyntax},
	{"kind", ErrKind},
	{"field", ErrField},
	{"signature", ErrSignature},
	{"wrong-node", ErrWrongNode},
	{"not-holder", ErrNotHolder},
	{"exceeds", ErrExceeds},
	{"depth", ErrDepth},
	{"answer", ErrAnswer},
	{"chain", ErrChain},
	{"grant", ErrGrant},
	{"lapsed", ErrLapsed},
	{"revoked", ErrRevoked},
}

// Code returns the word for why a statement, a chain, a proof or an attachment
// does not hold, as programs match it: "signature", "proof-below". It is empty for
// nil and for errors that are not of this package.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.word
		}
	}
	return ""
}
