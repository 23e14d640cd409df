// SPDX-License-Identifier: Apache-2.0

package policy

import "croft/lease"

// Bounds on a policy file or document, each of which strangers may write.
const (
	// MaxText is the size in bytes of a policy's text: five hundred peers with a
	// dozen amounts each.
	MaxText = 64 << 10

	// MaxDocument is the size in bytes of a signed policy: the text, the fields
	// and the signature.
	MaxDocument = MaxText + 512

	// MaxPrincipals is the number of names, of principals refused, and of those
	// for whom one pool is kept: each is compared with every wish.
	MaxPrincipals = 1024

	// MaxGives is the number of gives: the slots of half of a node's tranches, so
	// that the next term's tickets find slots beside those of this one.
	MaxGives = lease.MaxTranche / 2 * lease.Slots

	// MaxPools is the number of pools of a node: every admission adds them up.
	MaxPools = 16

	// MaxFollowed is the number of community policies that one node follows.
	MaxFollowed = 16

	// MaxErrors is how many mistakes are told at once.
	MaxErrors = 20

	// MinGive is the shortest term of a give, in seconds: its ticket is renewed
	// by half of it.
	MinGive = 600

	// Bounds of [times], in seconds. A hold must outlive the slowest of a run's
	// nodes; an hour is longer than any person waits.
	minFuse, maxFuse = 5, 3600
	maxGrace         = 7 * 24 * 3600
)

const day = 24 * 3600
