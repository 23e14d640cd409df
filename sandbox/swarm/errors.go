// SPDX-License-Identifier: Apache-2.0

package swarm

import "errors"

var (
	// ErrSums: sums of another length than the blob has pieces.
	ErrSums = errors.New("not the sums of this blob")

	// ErrMessage: bytes that are no message of the protocol.
	ErrMessage = errors.New("not understood")

	// ErrPiece: bytes that a sum refutes.
	ErrPiece = errors.New("a piece with another sum")

	// ErrUnknown: the blob, or the piece, is not there, or not for others.
	ErrUnknown = errors.New("no such piece here")

	// ErrBusy: as much is asked already as is served at once.
	ErrBusy = errors.New("too many at once")

	// ErrStuck: nobody who is known gave anything for too long.
	ErrStuck = errors.New("no node gives the image")
)
