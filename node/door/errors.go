// SPDX-License-Identifier: Apache-2.0

package door

import "errors"

var (
	// ErrGone says that a tenant's connection has ended.
	ErrGone = errors.New("hung up")

	// ErrBusy says that a tenant has as many requests as it may.
	ErrBusy = errors.New("has too many requests in flight")

	// ErrServed says that another connection serves the role for the same slice.
	ErrServed = errors.New("already served by this slice")

	// ErrAsk says that a question is too long for a line.
	ErrAsk = errors.New("the question is too long")

	// errStranger says that who dials is not of the sliver.
	errStranger = errors.New("not a user of the sliver")

	// ErrBroke says that a tenant does not keep to the protocol.
	ErrBroke = errors.New("broke the role protocol")
)
