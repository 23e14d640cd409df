// SPDX-License-Identifier: Apache-2.0

package optout

import "time"

const (
	// MaxEntries is the number of addresses in a set: what the guard's table in
	// the kernel holds, and with 880 bytes each 88 MB of memory.
	MaxEntries = 100_000

	// PerNetwork is the number of entries of one /24, or /56 in IPv6: all of the
	// former. To fill a set one needs addresses in 391 networks.
	PerNetwork = 256

	// MaxTerm is how long an entry holds in seconds: who still wants it after a
	// week asks again, and an address that changed hands is soon free.
	MaxTerm = 7 * 24 * 3600

	// MaxSpread in seconds is how far the attestations of one entry may lie
	// apart: an asker needs minutes, and one who owns few nodes shall not wait
	// for the days on which the hash names them.
	MaxSpread = 3600

	// MaxSkew is how far in the future an attestation may begin: as far as two clocks
	// are apart of which each is within 90 s, as with offers.
	MaxSkew = 3 * time.Minute

	// Attesters is the number of attestations in an entry.
	Attesters = 3

	// Choice is the number of networks that may attest for an address on a day.
	// Three would do if all nodes saw the same network; five more leave room for
	// views that differ and nodes that are away.
	Choice = 8

	// MaxAttestation and MaxEntry are sizes in bytes of what travels: fields of at
	// most 105, the signature and the frame 70.
	MaxAttestation = 192
	MaxEntry       = Attesters*(MaxAttestation+2) + 8

	// MaxText is the size in bytes of a text with attestations in it.
	MaxText = 8 << 10

	// Burst and Rate are the entries that one neighbour may have verified at once
	// and each second after, BurstAll and RateAll those of all neighbours: an entry
	// costs three signatures, so that a flood takes 2 % of a core. What is over is
	// ignored, and pulled later.
	Burst    = 256
	Rate     = 16
	BurstAll = 1024
	RateAll  = 64

	// maxSenders is the number of neighbours above which those that were quiet are
	// forgotten; maxJudged that of entries whose signatures are known to hold or
	// not to.
	maxSenders = 1024
	maxJudged  = 4096

	// Partitions is the number of parts of the set that a digest tells apart.
	Partitions = 64

	// PageBytes bounds the entries in one page of a pull.
	PageBytes = 128 << 10

	// MaxPresence is the size in bytes of a signed presence.
	MaxPresence = 256
)
