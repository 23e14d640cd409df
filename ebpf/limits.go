// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"time"

	"croft/lease"
)

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
	MaxFlows = 1 << 19

	// MaxRate bounds a rate in bit/s, and MaxPacketRate one in packets/s: above
	// any link, and the sums of a bucket fit into 64 bits.
	MaxRate       = 1 << 40
	MaxPacketRate = 1 << 32

	// MaxBurst bounds a burst in bytes (at 8e9 units each, 64 bits are full just
	// above), and MaxPacketBurst one in packets (1e9 units each).
	MaxBurst       = 1 << 31
	MaxPacketBurst = 1 << 32

	// DefaultRows is a sliver's quota of new outbound flows' rows in one epoch.
	// Flows that it had open have as many, replies and inbound flows too: four
	// quotas, so that 64 slivers cannot fill a table and none takes another's.
	DefaultRows = 2000

	// MaxFlowRate bounds new flows/s: more than packets can open.
	MaxFlowRate = 1 << 32

	// MaxFanOut bounds the distinct remote addresses of a window: half of what a
	// sliver's table of them has places for, so that none is lost too soon.
	MaxFanOut = lease.MaxFanOut

	// MaxDaily bounds the bytes of a day: more than MaxRate carries.
	MaxDaily = 1 << 54

	// MaxOptOut is the number of addresses that slivers leave alone.
	MaxOptOut = 100_000

	// ChargeUnit is how many bytes on the host's side count as a packet.
	ChargeUnit = 1500

	// MaxHeaders is the number of IPv6 extension headers that are walked. No
	// stack sends more than four; each costs one read.
	MaxHeaders = 6
)

const (
	// FanOutWindow is the time in which a sliver's remote addresses are counted.
	// An address counts until 60.1 to 68.7 s after the last packet to it.
	FanOutWindow = 60 * time.Second

	// FlowIdle is how long a flow may be silent before it is new again, 8.6 s
	// more at the most.
	FlowIdle = 2 * time.Minute

	// Day is what Daily is for.
	Day = 24 * time.Hour
)

// How deep a bucket is when the lease does not say.
const (
	// FlowBurstTime and MinFlowBurst are the same for new flows: a page that is
	// opened takes tens at once.
	FlowBurstTime = time.Second
	MinFlowBurst  = 16

	// Throttle is the hundredths of a day's bytes after which the rest is spread
	// over what is left of the day.
	Throttle = 80

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

// What sparse flows are, and what is kept for them (kernel/bpf/leaf.h, bucket.h).
const (
	// LinkRate, in bit/s, is what a veth is taken to carry: a way at or above it
	// has no shaper, and its flows are not told apart.
	LinkRate = 10_000_000_000

	// KeepTime, as time at the rate, and MinKeep in bytes bound what all sparse
	// flows may send at once, and so how long their queue can get.
	KeepTime = 5 * time.Millisecond
	MinKeep  = 8 * 1500

	// LeafNew is the number of flows of one way that are told apart in a window;
	// more are bulk.
	LeafNew = 1024

	leafWindow  = 28 // bits of ns
	leafPenalty = 250 * time.Millisecond
	leafOrder   = 10 * time.Millisecond
	leafQueue   = 70_000
	leafOctets  = 3000
	leafPackets = 8
	leafMost    = 1 << 17
)
