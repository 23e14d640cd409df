// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"errors"

	"github.com/fxamacker/cbor/v2"

	"croft/lease"
)

// Judgement is what becomes of an entry, in the words of package gossip.
type Judgement string

const (
	Accept Judgement = "accept" // pass it on
	Ignore Judgement = "ignore" // drop it, nobody is to blame
	Reject Judgement = "reject" // drop it, the forwarder should have known
)

// Reason is why an entry was not accepted; counters are kept by it.
type Reason string

const (
	None         Reason = ""
	TooBig       Reason = "too-big"
	Malformed    Reason = "malformed"
	NotCanonical Reason = "not-canonical"
	Field        Reason = "field"
	Signature    Reason = "signature"
	Newer        Reason = "newer" // a field that this version does not know
	Expired      Reason = "expired"
	Early        Reason = "early"
	Superseded   Reason = "superseded"
	Duplicate    Reason = "duplicate"
	TooOften     Reason = "too-often"
	Crowded      Reason = "crowded"      // the set, or the address's network, is full
	Stranger     Reason = "stranger"     // one who attests is no node, of no site or without a door, as far as is known here
	NotChosen    Reason = "not-chosen"   // the hash does not name the network of one who attests
	SameSite     Reason = "same-site"    // two who attest are of one site
	SameNetwork  Reason = "same-network" // two who attest are in one network
	LiveNode     Reason = "live-node"    // the address is a node's
)

// Meaning returns a clause that a person can read.
func (r Reason) Meaning() string {
	if m, ok := meanings[r]; ok {
		return m
	}
	return string(r)
}

var meanings = map[Reason]string{
	TooBig:       "it is too big",
	Malformed:    "it does not parse",
	NotCanonical: "it is not in the one form that it may have",
	Field:        "a value in it is impossible",
	Signature:    "a signature is not the node's",
	Newer:        "it has a field that this version does not know",
	Expired:      "it has ended",
	Early:        "it begins in the future",
	Superseded:   "this node keeps one for the address that holds longer",
	Duplicate:    "this node has it",
	TooOften:     "too many came at once",
	Crowded:      "there is no room for more of that network",
	Stranger:     "one who attests is not a node of a site that this node knows and reached",
	NotChosen:    "one who attests was not chosen for the address on that day",
	SameSite:     "two who attest belong to one site",
	SameNetwork:  "two who attest are in one network",
	LiveNode:     "the address is that of a node",
}

// judge maps an error of reading or verifying to a verdict. Nothing but the bytes
// enters, so that every honest node finds the same.
func judge(err error) Verdict {
	var field *cbor.UnknownFieldError
	switch {
	case err == nil:
		return Verdict{Accept, None}
	case errors.As(err, &field):
		return Verdict{Ignore, Newer}
	case errors.Is(err, lease.ErrTooBig):
		return Verdict{Reject, TooBig}
	case errors.Is(err, lease.ErrNotCanonical):
		return Verdict{Reject, NotCanonical}
	case errors.Is(err, lease.ErrField):
		return Verdict{Reject, Field}
	case errors.Is(err, lease.ErrSignature):
		return Verdict{Reject, Signature}
	}
	return Verdict{Reject, Malformed}
}
