// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"cmp"
	"fmt"
	"net/netip"

	"croft/lease"
)

// Limits is the packet contract of one sliver, compiled from its lease. What
// else a guard enforces (closed ranges) only takes away.
type Limits struct {
	Egress, Ingress  Way        // from the sliver; towards it
	FlowsNew         uint64     // flows/s that the sliver may open; 0: not limited by the guard
	FlowsLive        uint64     // flows at once; 0: not limited by the guard
	FanOut           uint64     // distinct remote addresses (/64 in IPv6) of flows that it opened, in any [FanOutWindow]; 0: no limit
	Daily            uint64     // bytes from the sliver in each 24 h, in part for a part of a day; 0: no limit
	DayFrom          int64      // boot clock, ns: when its first day began. Days follow one another; a renewal starts no other
	Rows             uint64     // rows of new flows from the sliver in one epoch, and bounds of the others (docs/packets.md); 0: [DefaultRows]
	Source4, Source6 netip.Addr // the only source addresses the sliver may use; the zero Addr allows none
	MAC              [6]byte    // of the sliver's end of the veth
	Deadline         int64      // boot clock, ns; from then on everything is dropped
}

// Way is what one direction may carry. For every window of t seconds:
//
//	L3 octets ≤ Rate/8 × t + Burst    and    packets ≤ Packets × t + PacketBurst
//
// A rate of 0 carries nothing, as a lease without that resource does. A GSO
// packet counts as the packets and octets that it becomes on the wire.
type Way struct {
	Rate        uint64 // bit/s of L3 octets
	Burst       uint64 // bytes
	Packets     uint64 // packets/s
	PacketBurst uint64 // packets
}

// Way returns what direction d may carry.
func (l Limits) Way(d Direction) Way {
	if d == Egress {
		return l.Egress
	}
	return l.Ingress
}

// Addresses are what a sliver may call itself on the wire.
type Addresses struct {
	Source4, Source6 netip.Addr
	MAC              [6]byte
}

// Conditions are what a node adds to a lease.
type Conditions struct {
	Deadline int64  // boot clock, ns: the lease's end
	DayFrom  int64  // boot clock, ns: the begin of its term, from which days count
	FlowsNew uint64 // as in [Limits]; of a lease that states none
	FanOut   uint64 // the same
	Rows     uint64 // as in [Limits]
}

// Compile turns a lease into limits. The byte bursts are the lease's own; one
// that it leaves out is [BurstTime] at the rate and at least [MinBurst]. A lease
// states no packet burst: it is [BurstTime] at the packet rate and at least
// [MinPacketBurst].
func Compile(l *lease.Lease, at Addresses, c Conditions) Limits {
	return Limits{
		Egress:    way(l.RSet[lease.EgressRate], l.BurstOut, l.RSet[lease.EgressPackets]),
		Ingress:   way(l.RSet[lease.IngressRate], l.BurstIn, l.RSet[lease.IngressPackets]),
		FlowsNew:  min(cmp.Or(l.RSet[lease.FlowsNew], c.FlowsNew), MaxFlowRate),
		FlowsLive: l.RSet[lease.FlowsLive],
		FanOut:    cmp.Or(uint64(l.FanOut), c.FanOut),
		Daily:     min(l.RSet[lease.EgressDaily], MaxDaily),
		DayFrom:   c.DayFrom,
		Rows:      c.Rows,
		Source4:   at.Source4,
		Source6:   at.Source6,
		MAC:       at.MAC,
		Deadline:  c.Deadline,
	}
}

func way(rate, burst, packets uint64) Way {
	w := Way{Rate: min(rate, MaxRate), Packets: min(packets, MaxPacketRate)}
	const share = 1e9 / uint64(BurstTime) // of a second
	if w.Rate > 0 {
		if burst == 0 {
			burst = max(w.Rate/8/share, MinBurst)
		}
		w.Burst = min(burst, MaxBurst)
	}
	if w.Packets > 0 {
		w.PacketBurst = min(max(w.Packets/share, MinPacketBurst), MaxPacketBurst)
	}
	return w
}

// Check reports whether a guard can hold l.
func (l Limits) Check() error {
	for _, w := range []Way{l.Egress, l.Ingress} {
		if w.Rate > MaxRate || w.Burst > MaxBurst || w.Packets > MaxPacketRate || w.PacketBurst > MaxPacketBurst {
			return fmt.Errorf("way %+v over its bounds: %w", w, ErrField)
		}
	}
	if l.FlowsNew > MaxFlowRate || l.FanOut > MaxFanOut || l.Daily > MaxDaily || l.Rows > MaxFlows/4 {
		return fmt.Errorf("new flows %d, fan-out %d, daily %d or rows %d over its bounds: %w", l.FlowsNew, l.FanOut, l.Daily, l.Rows, ErrField)
	}
	if l.Source4.IsValid() && !l.Source4.Is4() || l.Source6.IsValid() && (!l.Source6.Is6() || l.Source6.Is4In6() || l.Source6.Zone() != "") {
		return fmt.Errorf("source addresses %s and %s: %w", l.Source4, l.Source6, ErrField)
	}
	return nil
}
