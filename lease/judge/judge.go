// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"errors"

	"github.com/fxamacker/cbor/v2"

	"croft/lease"
	"croft/lease/offer"
)

// Judgement is what becomes of a message.
type Judgement string

const (
	Accept Judgement = "accept" // pass it on
	Ignore Judgement = "ignore" // drop it, nobody is to blame
	Reject Judgement = "reject" // drop it, the forwarder should have known
)

// Reason is why a message was not accepted; counters are kept by it.
type Reason string

const (
	None          Reason = ""
	TooBig        Reason = "too-big"
	Malformed     Reason = "malformed"
	NotCanonical  Reason = "not-canonical"
	Field         Reason = "field"
	Signature     Reason = "signature"
	Newer         Reason = "newer" // a field, kind or resource that this version does not know
	Certificate   Reason = "certificate"
	Expired       Reason = "expired"
	Early         Reason = "early"
	Superseded    Reason = "superseded"
	Duplicate     Reason = "duplicate"
	Equivocation  Reason = "equivocation"
	TooOften      Reason = "too-often"
	Crowded       Reason = "crowded"   // all is full, and the sender's, or the subject's, share is used up
	Elsewhere     Reason = "elsewhere" // of a part of the world of which only some are heard here
	Withdrawn     Reason = "withdrawn"
	Unproven      Reason = "unproven"      // a proof that proves nothing
	Stranger      Reason = "stranger"      // it is by, or against, who is no node as far as is known here
	Unentitled    Reason = "unentitled"    // its author may not say it
	UnknownSlice  Reason = "unknown-slice" // whether he may, a record says that is not here
	Distant       Reason = "distant"       // a suspicion by who would not probe the node
	UnknownReason Reason = "unknown"
)

// Of maps an error of decoding, opening or freshness to a judgement. What is not
// understood is no ground for blame: UnknownReason is ignored.
func Of(err error) (Judgement, Reason) {
	var field *cbor.UnknownFieldError
	switch {
	case err == nil:
		return Accept, None
	case errors.As(err, &field), errors.Is(err, lease.ErrUnknownResource):
		return Ignore, Newer
	case errors.Is(err, offer.ErrCertificate):
		return Ignore, Certificate
	case errors.Is(err, offer.ErrExpired):
		return Ignore, Expired
	case errors.Is(err, offer.ErrEarly):
		return Ignore, Early
	case errors.Is(err, lease.ErrTooBig):
		return Reject, TooBig
	case errors.Is(err, lease.ErrNotCanonical):
		return Reject, NotCanonical
	case errors.Is(err, lease.ErrSyntax):
		return Reject, Malformed
	case errors.Is(err, lease.ErrField), errors.Is(err, lease.ErrKind):
		return Reject, Field
	case errors.Is(err, lease.ErrSignature):
		return Reject, Signature
	}
	return Ignore, UnknownReason
}

// OfBytes is Of where nothing but the bytes was looked at, so that every honest
// node finds the same: what no rule names is rejected for the reason otherwise.
func OfBytes(err error, otherwise Reason) (Judgement, Reason) {
	j, reason := Of(err)
	if reason == UnknownReason {
		return Reject, otherwise
	}
	return j, reason
}
