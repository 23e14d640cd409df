// SPDX-License-Identifier: Apache-2.0

package purse

import "errors"

// Why a purse does not sign. Refusals wrap these or errors of package lease.
var (
	ErrUnknown  = errors.New("is not in the purse")
	ErrEnded    = errors.New("has ended")
	ErrFloor    = errors.New("begins before what this purse remembers")
	ErrSlot     = errors.New("no such slot is free")
	ErrSpent    = errors.New("the ticket's slots already add up to it")
	ErrRequest  = errors.New("was used before for another wish")
	ErrFull     = errors.New("the purse is full")
	ErrRestored = errors.New("the purse is a restored copy, which cannot know what was signed since")
	// ErrFact says that a fact does not follow from the facts before it.
	ErrFact = errors.New("fact does not fit the purse")
)
