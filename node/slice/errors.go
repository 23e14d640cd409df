// SPDX-License-Identifier: Apache-2.0

package slice

import "errors"

var (
	// ErrPlan: a plan that cannot be carried out, whatever nodes answer.
	ErrPlan = errors.New("impossible plan")

	// ErrRecord: a stored record that does not hold together.
	ErrRecord = errors.New("record of a slice is damaged")

	// ErrLine: a printed input or effect that does not parse.
	ErrLine = errors.New("not a line of a slice's log")
)
