// SPDX-License-Identifier: Apache-2.0

package binomial

import "errors"

var (
	// ErrConfig: trials that cannot be.
	ErrConfig = errors.New("cannot be tried")
	// ErrLedger: the ledger did what no ledger may, whatever the law says.
	ErrLedger = errors.New("that is no answer of a ledger")
)
