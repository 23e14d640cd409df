// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"sync"

	"croft/ebpf"
)

// How the kernel counts a sliver's time (kernel/bpf/known.h).
const (
	tickShift = 33
	idleTicks = 14
	fanTicks  = 8
)

// Kernel is the state that is pinned in a real one: it outlives every [Guard].
type Kernel struct {
	boot, wall func() int64

	mu      sync.Mutex
	rules   ebpf.Rules
	optout  map[netip.Addr]bool
	slivers map[string]*sliver
	ports   map[int]*sliver // by ifindex

	series   uint64
	number   uint64 // of the running epoch
	rows     map[rowKey]*ebpf.Flow
	most     int
	identity ebpf.Identity
	pending  *ebpf.Epoch // drained, and not durable yet
}

// NewKernel returns a kernel without slivers. The clocks are in ns.
func NewKernel(boot, wall func() int64, series uint64) *Kernel {
	return &Kernel{boot: boot, wall: wall, series: series, number: 1, optout: map[netip.Addr]bool{},
		slivers: map[string]*sliver{}, ports: map[int]*sliver{}, rows: map[rowKey]*ebpf.Flow{}, most: ebpf.MaxFlows}
}

// sliver is one that is attached.
type sliver struct {
	port   ebpf.Port
	limits ebpf.Limits
	ways   [2]*way
	opened map[peer]uint64       // flows that it opened, and the tick of their last use
	heard  map[peer]uint64       // flows that came from outside
	remote map[netip.Addr]uint64 // whom it sends to, and the tick of the last packet
}

type way struct {
	meter  ebpf.Meter
	leaves ebpf.Leaves[rowKey]
	count  ebpf.Count
	epoch  uint64
	rows   [3]uint64 // of that epoch, by kind
}

// Kinds of rows, each with a quota of its own (kernel/bpf/maps.h).
const (
	rowNew = iota
	rowOpen
	rowReply
)

// peer names a flow by its ends, the same in both directions.
type peer struct {
	proto uint8
	near  uint16
	far   netip.AddrPort
}

type rowKey struct {
	sliver    string
	place     int
	direction ebpf.Direction
	proto     uint8
	src, dst  netip.AddrPort
}

// A Packet is what the guard sees of one.
type Packet struct {
	MAC      [6]byte // of its source; zero: the sliver's own
	Proto    uint8
	Src, Dst netip.AddrPort // of ICMP as in [ebpf.Flow]
	Segments uint64         // packets that it becomes on the wire; 0: 1
	Bytes    uint64         // L3 octets on the wire
	Flags    uint8          // TCP's
	Fragment bool
}
