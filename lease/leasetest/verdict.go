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
	{"grant", lease.ErrGrant},
	{"lapsed", lease.ErrLapsed},
	{"revoked", lease.ErrRevoked},
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
