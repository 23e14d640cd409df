// SPDX-License-Identifier: Apache-2.0

package net

import "math"

// HTB's numbers are the same on the IFB and on every veth: one major for all,
// the minor is the place's. A packet's priority is its class, and a priority
// that names another's class means nothing on a veth.
const (
	htbMajor = 0xc << 16
	// strays is the IFB's default class: a packet that no guard classified is
	// dropped there, as HTB would pass one without a class at full speed.
	strays = 0xffff
)

func (p plan) class(place int) uint32 { return htbMajor | uint32(place+1) }

// shape is the parameters of one class and its leaf.
type shape struct {
	Rate    uint64 // bit/s as HTB counts, that is with Ethernet's header
	Burst   uint32 // bytes that leave at once; burst and cburst alike
	Quantum uint32 // bytes per turn; HTB's own guess is off at both ends of the scale
	Fifo    uint32 // bytes that wait
}

// shaped reports whether a lease's rate needs a shaper: 0 is no limit here.
func shaped(rate uint64) bool { return rate > 0 && rate < LinkRate }

// shapeFor turns a lease's rate in L3 bit/s into a class.
//
// A qdisc counts the Ethernet header, a lease does not: the rate is raised by
// what full packets carry, so that these reach the lease's rate exactly and
// smaller ones stay below.
func shapeFor(rate uint64) shape {
	rate = max(rate, MinRate)
	bytes := rate / 8
	return shape{
		Rate: rate + rate*etherHeader/mtu,
		// Two milliseconds are more than the kernel's timers are late by.
		Burst:   clamp(bytes/500, 2*(mtu+etherHeader), math.MaxInt32),
		Quantum: clamp(bytes/1000, mtu+etherHeader, 200_000),
		// Ten milliseconds of queue, but never less than one super-packet.
		Fifo: clamp(bytes/100, maxGSO, math.MaxInt32),
	}
}

// dropShape lets nothing by: its leaf has no room for any packet.
var dropShape = shape{Rate: 8_000, Burst: mtu + etherHeader, Quantum: mtu + etherHeader, Fifo: 1}

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
