// SPDX-License-Identifier: Apache-2.0

package gossip

import "croft/lease/judge"

// judgeProof maps an error of reading or verifying a proof. Nothing but signed
// bytes enters, so that every honest node finds the same.
func judgeProof(err error) Verdict {
	j, reason := judge.OfBytes(err, judge.Unproven)
	return Verdict{j, reason}
}
