// SPDX-License-Identifier: Apache-2.0

package ebpf

import "errors"

var (
	// ErrNotAttached: the guard knows no sliver of that name.
	ErrNotAttached = errors.New("no guard is attached to this sliver")
	// ErrIdentity: an epoch's counts do not add up. It is an alarm: the record
	// of that epoch is not to be relied on.
	ErrIdentity = errors.New("epoch does not add up")
	// ErrField: a name, port or limit that cannot be.
	ErrField = errors.New("impossible field")
)
