// SPDX-License-Identifier: Apache-2.0

package keep

import "errors"

var (
	// ErrCharge says that a charge cannot be kept, whatever nodes answer.
	ErrCharge = errors.New("no charge that can be kept")

	// ErrQuestion says that a question makes no sense.
	ErrQuestion = errors.New("no question of a keeper")

	// ErrDecision says that a decision goes beyond what its question leaves open.
	ErrDecision = errors.New("no decision that may be taken")
)
