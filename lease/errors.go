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
