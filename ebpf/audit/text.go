// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"time"

	"croft/lease"
)

// proofLabel stands in the first and last line of a proof as text.
const proofLabel = "AUDIT PROOF"

// Armour writes a proof as a block of text that survives mail.
func Armour(p Proof) []byte { return lease.ArmourAs(proofLabel, p.Bytes()) }

// ParseArmour returns the proofs of all blocks in a text, in order. What stands
// around a block is passed over. Nothing is verified. It returns what
// [ReadProof] does, and lease.ErrSyntax if there is no block.
func ParseArmour(text []byte) ([]Proof, error) {
	blocks, err := lease.ParseArmourAs(proofLabel, text, MaxProofText)
	if err != nil {
		return nil, err
	}
	proofs := make([]Proof, len(blocks))
	for i, b := range blocks {
		if proofs[i], err = ReadProof(b); err != nil {
			return nil, err
		}
	}
	return proofs, nil
}

// instant writes Unix nanoseconds for a person, and so that they parse again.
func instant(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
