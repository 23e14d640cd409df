// SPDX-License-Identifier: Apache-2.0

package leasetest

import "croft/lease"

// Verdict says in one word what an error of package lease means, "ok" for none:
// the words in which drawings and vectors give their expectation.
func Verdict(err error) string {
	if err == nil {
		return "ok"
	}
	if word := lease.Code(err); word != "" {
		return word
	}
	return "other: " + err.Error()
}
