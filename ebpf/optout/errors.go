// SPDX-License-Identifier: Apache-2.0

package optout

import "errors"

var (
	// ErrAddress says that no opt-out can be for an address: it is not one that
	// packets from far away reach.
	ErrAddress = errors.New("not an address that can opt out")

	// ErrEntry says that attestations do not make an entry together.
	ErrEntry = errors.New("not an entry")
)
