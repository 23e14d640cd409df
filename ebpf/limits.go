// SPDX-License-Identifier: Apache-2.0

package ebpf

import "time"

// Bounds on what the kernel side keeps and loops over.
const (
	// MaxSlivers is the number of ports that one node's guard watches at once:
	// four times the 1,000 that one node is built for.
	MaxSlivers = 4096

	// MaxName is the length in bytes of a sliver's name, as in a lease's text id.
	MaxName = 16

	// MaxRules is the number of closed and opened ranges of one family.
	MaxRules = 1024

	// MaxFlows is the number of rows of one epoch. Rows take memory only when
	// they exist (about 160 bytes); what does not fit is counted as unrecorded.
	MaxFlows = 1 << 18

	// MaxRate bounds a rate in bit/s, and MaxPacketRate one in packets/s: above
	// any link, and the sums of a bucket fit into 64 bits.
	MaxRate       = 1 << 40
	MaxPacketRate = 1 << 32

	// MaxBurst bounds a burst in bytes (at 8e9 units each, 64 bits are full just
	// above), and MaxPacketBurst one in packets (1e9 units each).
	MaxBurst       = 1 << 31
	MaxPacketBurst = 1 << 32

	// MaxHeaders is the number of IPv6 extension headers that are walked. No
	// stack sends more than four; each costs one read.
	MaxHeaders = 6
)

// How deep a bucket is when the lease does not say.
const (
	// BurstTime is the depth of a bucket as time at its rate. TCP's shortest
	// retransmission time-out is 200 ms: measured, a bucket of 100 ms halves
	// TCP's throughput and one of 250 ms costs under 4 %.
	BurstTime = 250 * time.Millisecond

	// MinBurst in bytes is two GSO packets of the largest size, and
	// MinPacketBurst holds one such packet's segments: less would never let
	// one pass.
	MinBurst       = 128 << 10
	MinPacketBurst = 64
)
