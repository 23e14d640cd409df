// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"net/netip"
)

var (
	sliverMAC = [6]byte{2, 0xc4, 0, 0, 0, 2}
	hostMAC   = [6]byte{2, 0xc4, 0, 0, 0, 1}
	sliver4   = netip.MustParseAddr("10.200.0.2")
	sliver6   = netip.MustParseAddr("fdc4::2")
	remote4   = netip.MustParseAddr("198.41.0.4")
	remote6   = netip.MustParseAddr("2606:4700::1")
)

// frame is a packet in the making; every method returns the bytes so far
// wrapped in one more layer, from the inside out.
type frame []byte

func udp(sport, dport uint16, payload int) frame {
	b := make(frame, 8+payload)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

func tcp(sport, dport uint16, flags byte, payload int) frame {
	b := make(frame, 20+payload)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	b[12], b[13] = 5<<4, flags
	return b
}

func icmp(kind, code byte, id uint16) frame {
	b := make(frame, 8)
	b[0], b[1] = kind, code
	binary.BigEndian.PutUint16(b[4:], id)
	return b
}

func (f frame) ip4(src, dst netip.Addr, proto byte) frame {
	b := make(frame, 20, 20+len(f))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(f)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	return append(b, f...)
}

// set changes one byte, to break what is right.
func (f frame) set(at int, v byte) frame { f[at] = v; return f }

func (f frame) ip6(src, dst netip.Addr, next byte) frame {
	b := make(frame, 40, 40+len(f))
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(f)))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, f...)
}

// ext puts an 8-byte extension header before f.
func (f frame) ext(next byte) frame { return append(frame{next, 0, 0, 0, 0, 0, 0, 0}, f...) }

func (f frame) eth(src, dst [6]byte, kind uint16) frame {
	b := make(frame, 14, 14+len(f))
	copy(b, dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], kind)
	return append(b, f...)
}

// out and in are Ethernet frames from and towards the sliver.
func (f frame) out() frame { return f.eth(sliverMAC, hostMAC, f.kind()) }
func (f frame) in() frame  { return f.eth(hostMAC, sliverMAC, f.kind()) }

func (f frame) kind() uint16 {
	if f[0]>>4 == 6 {
		return 0x86dd
	}
	return 0x0800
}

func arp(op byte, mac [6]byte, who, whom netip.Addr) frame {
	b := frame{0, 1, 8, 0, 6, 4, 0, op}
	b = append(append(b, mac[:]...), who.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), whom.AsSlice()...)
}
