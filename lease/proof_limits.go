// SPDX-License-Identifier: Apache-2.0

package lease

// Bounds on proofs, and on what a refusal attaches.
const (
	// MaxFillingEntries is the number of draws that a filling names. A ticket
	// has 64 slots; a claim above it may need more, and one whose smallest set of
	// draws is larger is not shown: the node says local:bound instead.
	MaxFillingEntries = 256

	// MaxFilling is the size in bytes of a filling: 64 redeems with their leases
	// at the largest that statements can be, several times as many at their usual
	// size. It bounds what an asker reads, and checks: some 600 signatures.
	MaxFilling = 2*Slots*MaxStatement + frame

	// MaxConflict is the size in bytes of a proof of conflict: a chain and a
	// child for every slot.
	MaxConflict = (MaxDepth+Slots)*MaxStatement + frame

	// MaxRefutations is the number of revokes that a proof shows against one
	// filling: more than it can name draws is never needed, and a proof that
	// needs more than one for every slot is not worth its bytes.
	MaxRefutations = Slots

	// MaxProof is the size in bytes of any proof: the largest shows a refused
	// redeem's chain, the refusal, what was attached, and revokes that refute it.
	// A gossip message has room for it.
	MaxProof = MaxChain + MaxStatement + MaxFilling + MaxRefutations*maxRevoke + frame

	// MaxQuarantine bounds for how many seconds after a conflict's term a node
	// may go on to refuse whoever is accountable for it (30 days): a refusal on
	// the ground of an older one is dishonour.
	MaxQuarantine = 30 * 24 * 3600

	// maxRevoke is the size in bytes of a revoke with the longest text.
	maxRevoke = 512

	// frame is room for the CBOR heads around statements: at most 5 bytes each.
	frame = 2048
)
