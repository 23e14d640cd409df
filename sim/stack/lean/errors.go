// SPDX-License-Identifier: Apache-2.0

package lean

import "errors"

var (
	// ErrNoAnswer: nobody answered a dial, because nobody is at the address or nothing
	// gets there.
	ErrNoAnswer = errors.New("no answer")

	// ErrIdentity: whoever is at the address is another peer.
	ErrIdentity = errors.New("another peer answered")

	// ErrClosed: the host is closed.
	ErrClosed = errors.New("host is closed")

	// ErrAddress: another host is at the address.
	ErrAddress = errors.New("address is taken")

	errForgotten   = errors.New("the other end knows nothing of the connection")
	errClosedRead  = errors.New("stream is closed for reading")
	errClosedWrite = errors.New("stream is closed for writing")
	errManyStreams = errors.New("too many streams on the connection")
)
