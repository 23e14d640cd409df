// SPDX-License-Identifier: Apache-2.0

package lease

import "errors"

// What can be wrong with a statement before anybody's claim is looked at.
var (
	ErrSyntax          = errors.New("malformed")
	ErrUnknownResource = errors.New("unknown resource")
	ErrTooBig          = errors.New("too big")
	ErrNotCanonical    = errors.New("not in core deterministic CBOR")
	ErrSignature       = errors.New("signature does not verify")
	ErrKind            = errors.New("wrong kind of statement")
	ErrField           = errors.New("impossible field")
)

// What keeps a grant from allowing something.
var (
	ErrGrant   = errors.New("is not granted")
	ErrLapsed  = errors.New("is not granted at that time")
	ErrRevoked = errors.New("the grant stands no more")
)

// What can be wrong with a chain of statements that are sound one by one.
var (
	ErrChain     = errors.New("chain is broken")
	ErrNotHolder = errors.New("issuer does not hold the parent")
	ErrExceeds   = errors.New("exceeds the parent")
	ErrWrongNode = errors.New("names another node")
	ErrDepth     = errors.New("chain is too deep")
	ErrAnswer    = errors.New("is not the answer")
)

// Why a proof that is well formed and signed proves nothing. The rules are those
// of docs/protocol/claims.md.
var (
	ErrProofShape      = errors.New("has not the parts of its kind")                    // P2
	ErrProofParent     = errors.New("is a child of another parent")                     // P5
	ErrProofDuplicate  = errors.New("names one statement twice")                        // P6
	ErrProofOrder      = errors.New("is out of order")                                  // P7
	ErrProofDisjoint   = errors.New("terms share no instant")                           // P8
	ErrProofInstant    = errors.New("instant is not the first that all terms share")    // P9
	ErrProofSlot       = errors.New("slots hold what they may")                         // P10, P11
	ErrProofBelow      = errors.New("weights are within the limit")                     // P12
	ErrProofRedundant  = errors.New("weights exceed the limit without one of them")     // P13
	ErrProofTranche    = errors.New("capacities are of two nodes or tranches")          // P14
	ErrProofExempt     = errors.New("refusal is one that a node may give")              // P16, P17
	ErrProofAttachment = errors.New("attachment is not the one that the refusal names") // P18
	ErrProofBorneOut   = errors.New("attachment bears the refusal out")                 // P19
	ErrProofRefutation = errors.New("refutes nothing that is attached")                 // P20
	ErrProofGrace      = errors.New("the grace was kept")                               // P21
)

// Why an attachment does not bear a refusal out.
var (
	ErrFillingClaim   = errors.New("claim is not one that can be full")         // F2
	ErrFillingInstant = errors.New("is not about an amount that was wished")    // F3, F6
	ErrFillingTwice   = errors.New("counts a slot twice, or the asker's own")   // F5
	ErrFillingHold    = errors.New("hold had fallen")                           // F6
	ErrFillingBelow   = errors.New("does not fill the claim")                   // F7
	ErrOffPath        = errors.New("conflict has no part in the refused chain") // F8
)

// Which field is impossible, for those that people choose: each is an [ErrField].
var (
	ErrRSet   error = fieldError("impossible rset")
	ErrTerm   error = fieldError("impossible term")
	ErrDegree error = fieldError("impossible degree")
)

type fieldError string

func (e fieldError) Error() string        { return string(e) }
func (e fieldError) Is(target error) bool { return target == ErrField }
