// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"croft/node/keep"
)

// keeping is the call: a slice and what is seen of it → what to renew, replace, add.
func (d *Daemon) keeping() decision[keep.Question, keep.Decision] {
	return decision[keep.Question, keep.Decision]{role: "keeper", call: "keep",
		want:  func(q *keep.Question) error { return q.Check() },
		check: func(q keep.Question, a *keep.Decision) error { return q.Verify(*a) },
		agree: func(_ keep.Question, given, other keep.Decision) float64 {
			return shared(given.Acts(), other.Acts())
		}}
}
