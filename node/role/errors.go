// SPDX-License-Identifier: Apache-2.0

package role

import "errors"

var (
	// ErrRole says that there is no such role, or not in that version.
	ErrRole = errors.New("no such role")

	// ErrTenant says that a text names no tenant.
	ErrTenant = errors.New("no tenant's name")

	// ErrRule says that an owner's rule makes no sense.
	ErrRule = errors.New("no rule of succession")

	// ErrLine says that a line is none of the role protocol's.
	ErrLine = errors.New("not understood")

	// ErrProgram says that a packet program is not signed by whom it must be.
	ErrProgram = errors.New("signature of a packet program")

	// ErrFact says that a record is none of this package's.
	ErrFact = errors.New("no fact of a succession")
)
