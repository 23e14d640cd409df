// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Direction is seen from the sliver.
type Direction uint8

const (
	Egress  Direction = 0 // from the sliver
	Ingress Direction = 1 // towards it
)

func (d Direction) String() string {
	switch d {
	case Egress:
		return "egress"
	case Ingress:
		return "ingress"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// Protocols with rows of their own shape; the rest are IP protocol numbers.
const (
	// ProtoARP marks the row of a sliver's ARP. No IP packet can be here: the
	// number is reserved (RFC 5237).
	ProtoARP = 255
	// ProtoFragment marks the one row of all inbound fragments (the number of
	// IPv6's fragment header; IPv4's are counted here too). It has no addresses.
	ProtoFragment = 44
	// ProtoNode marks a row of what the node moved for a sliver on the host's
	// side: one for each channel and direction. It has no addresses; Src's port
	// is the [Channel], and packets are counted as [Guard].Charge says.
	ProtoNode = 254
	// ProtoOverflow marks the one row of all inbound flows that had no room in
	// the sliver's quota of rows. It has no addresses.
	ProtoOverflow = 253
)

// Flow is one row: the packets of one direction and 5-tuple that passed the
// guard in one epoch. For ICMP, Src's port is type × 256 + code and Dst's is
// the echo id. What the shaper drops afterwards is not taken off.
type Flow struct {
	Place       int
	Sliver      string
	Direction   Direction
	Proto       uint8
	Src, Dst    netip.AddrPort
	Packets     uint64
	Bytes       uint64 // L3 octets on the wire
	First, Last int64  // Unix nanoseconds
	TCPFlags    uint8  // every flag that was seen
}

func (f Flow) String() string {
	return fmt.Sprintf("%s %s proto=%d %s -> %s packets=%d bytes=%d first=%s last=%s", f.Sliver, f.Direction, f.Proto,
		f.Src, f.Dst, f.Packets, f.Bytes, unix(f.First), unix(f.Last))
}

func unix(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// Epoch is what one node's guard recorded between two drains. Series names the
// making of its tables (a reboot starts another); within it Number counts up by
// one. The two together name an epoch for good.
type Epoch struct {
	Series   uint64
	Number   uint64
	At       int64 // Unix nanoseconds of the drain
	Flows    []Flow
	Identity Identity
}

// Identity is an epoch's account of all packets:
//
//	seen = recorded + Σ dropped + unrecorded + no-sliver
//
// Recorded is the sum over the rows, all else is counted by itself, so that a
// row that went missing shows.
type Identity struct {
	Seen       uint64
	Recorded   uint64
	Dropped    [NumReasons]uint64 // of ports with a sliver
	Unrecorded uint64             // passed while the table of rows was full
	NoSliver   uint64             // dropped at ports without one
}

// Check returns ErrIdentity, with the numbers, when the account does not balance.
func (i Identity) Check() error {
	sum := i.Recorded + i.Unrecorded + i.NoSliver
	for _, d := range i.Dropped {
		sum += d
	}
	if sum == i.Seen {
		return nil
	}
	return fmt.Errorf("seen %d, accounted for %d (%+v): %w", i.Seen, sum, i, ErrIdentity)
}

// IsZero reports whether nothing at all was seen.
func (i Identity) IsZero() bool { return i == Identity{} }

// Compare orders rows by sliver, direction, protocol, addresses, then first.
func (f Flow) Compare(o Flow) int {
	return cmp.Or(strings.Compare(f.Sliver, o.Sliver), cmp.Compare(f.Direction, o.Direction), cmp.Compare(f.Proto, o.Proto),
		f.Src.Compare(o.Src), f.Dst.Compare(o.Dst), cmp.Compare(f.First, o.First))
}
