// SPDX-License-Identifier: Apache-2.0

package kad

import "errors"

var (
	// ErrAlone: no other peer is known.
	ErrAlone = errors.New("no other node is known")
	// ErrNoRecord: nobody who was reached has a record of that slice.
	ErrNoRecord = errors.New("no record of the slice is known")
	// ErrNotKept: nobody who was reached took the record.
	ErrNotKept = errors.New("no node keeps the record")

	errBusy = errors.New("too many requests are under way")
)
