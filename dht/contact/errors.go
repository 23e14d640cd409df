// SPDX-License-Identifier: Apache-2.0

package contact

import "errors"

var (
	// ErrInvitation: the text is no invitation, or a part of it is missing.
	ErrInvitation = errors.New("no invitation")
	// ErrLapsed: the invitation held until a time that is over.
	ErrLapsed = errors.New("the invitation has lapsed")
	// ErrMemory: what was written down is not to be read.
	ErrMemory = errors.New("remembered contacts cannot be read")
)
