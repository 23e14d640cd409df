// SPDX-License-Identifier: Apache-2.0

package net

import (
	"math"
	"time"
)

// A sliver's way is three classes of HTB, the same numbers on the IFB and on
// every veth: one with the lease's rate, and below it two leaves, to one of which
// the guard's test (ebpf/kernel/bpf/leaf.h) sends each packet.
//
//	d:<n>       rate R
//	├─ d:<n+1>  sparse: served first, at least R/2 when it needs that
//	└─ d:<n+2>  bulk:   what is left, at least R/2
//
// n is four times place + 1. A packet's priority is its leaf, and a priority
// that names another's leaf means nothing on a veth.
const (
	htbMajor   = 0xd << 16
	sparseLeaf = 1 // LEAF_SPARSE in leaf.h
	bulkLeaf   = 2 // LEAF_BULK
	// strays is the IFB's default class: a packet that no guard classified is
	// dropped there, as HTB would pass one without a class at full speed.
	strays = 0xffff
	// trial is a class that no packet ever reaches; see method.go.
	trial = 0xfffe
)

func (p plan) class(place int) uint32 { return htbMajor | uint32(place+1)<<2 }

// shape is the parameters of one way of a sliver.
type shape struct {
	Rate    uint64        // bit/s as HTB counts them, with Ethernet's header on full packets
	Burst   uint32        // bytes that leave at once; burst and cburst alike
	Quantum uint32        // bytes per turn; HTB's own guess is off at both ends of the scale
	Fifo    uint32        // bytes of bulk that wait
	Target  time.Duration // of what fq_codel holds a flow to, where there is one
	Cut     bool          // super-packets are cut before they queue
}

// half of a way's rate is each leaf's own; both may borrow all of it.
func (s shape) half() uint64 { return s.Rate / 2 }

// shaped reports whether a lease's rate needs a shaper: 0 is no limit here.
func shaped(rate uint64) bool { return rate > 0 && rate < LinkRate }

// shapeFor turns a lease's rate in L3 bit/s into classes; cut says whether the
// kernel can.
//
// HTB counts a full packet with its Ethernet header, and the rate is raised by
// what that carries; sizeTable makes other sizes count in proportion to their L3
// octets.
func shapeFor(rate uint64, cut bool) shape {
	rate = max(rate, MinRate)
	bytes := rate / 8
	return shape{
		Rate: rate + rate*etherHeader/mtu,
		Cut:  cut && rate <= CutRate,
		// Ten milliseconds are more than a busy machine is late by, and what was
		// not sent then is not lost. The lease allows 250.
		Burst:   clamp(bytes/100, 2*(mtu+etherHeader), math.MaxInt32),
		Quantum: clamp(bytes/1000, mtu+etherHeader, 200_000),
		// Ten milliseconds of queue, but never less than one super-packet.
		Fifo:   clamp(bytes/100, maxGSO, math.MaxInt32),
		Target: max(5*time.Millisecond, time.Duration(1.5*mtu*float64(time.Second)/float64(bytes))),
	}
}

// gsoFor is the largest super-packet, in bytes, that a sliver's stack may hand
// over: a few milliseconds of its rate, since HTB lets a packet go in one piece
// and all others wait.
func gsoFor(rate uint64) int {
	if !shaped(rate) {
		return 65_536
	}
	return int(clamp(rate/8/400, minGSO, 65_536))
}

func clamp(v uint64, lo, hi uint32) uint32 {
	return uint32(min(max(v, uint64(lo)), uint64(hi)))
}
