// SPDX-License-Identifier: Apache-2.0

package burst

import "errors"

var (
	// ErrConfig: weeks that cannot be.
	ErrConfig = errors.New("cannot be played")
	// ErrLedger: the ledger did what no ledger may.
	ErrLedger = errors.New("that is no answer of a ledger")
)
