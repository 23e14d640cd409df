// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"encoding/binary"
	stdnet "net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Packets are put together by hand: most of what is tried here is what no
// well-behaved library would write.

const etherHeader = 14

func ether(dst, src stdnet.HardwareAddr, proto uint16, payload []byte) []byte {
	f := append(append([]byte{}, dst...), src...)
	return append(binary.BigEndian.AppendUint16(f, proto), payload...)
}

// ip4 is an IPv4 packet. Fragment is the field of flags and offset, options are
// padded already.
type ip4 struct {
	src, dst netip.Addr
	proto    byte
	ttl      byte
	fragment uint16
	id       uint16
	options  []byte
	payload  []byte
}

func (p ip4) bytes() []byte {
	h := make([]byte, 20, 20+len(p.options)+len(p.payload))
	h[0] = 4<<4 | byte(5+len(p.options)/4)
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(p.options)+len(p.payload)))
	binary.BigEndian.PutUint16(h[4:], p.id)
	binary.BigEndian.PutUint16(h[6:], p.fragment)
	h[8], h[9] = p.ttl, p.proto
	if p.ttl == 0 {
		h[8] = 64
	}
	copy(h[12:], p.src.AsSlice())
	copy(h[16:], p.dst.AsSlice())
	h = append(h, p.options...)
	binary.BigEndian.PutUint16(h[10:], ^sum(0, h))
	return append(h, p.payload...)
}

// ip6 is an IPv6 packet; payload begins with extension headers if there are any.
type ip6 struct {
	src, dst netip.Addr
	next     byte
	hops     byte
	payload  []byte
}

func (p ip6) bytes() []byte {
	h := make([]byte, 40, 40+len(p.payload))
	h[0] = 6 << 4
	binary.BigEndian.PutUint16(h[4:], uint16(len(p.payload)))
	h[6], h[7] = p.next, p.hops
	if p.hops == 0 {
		h[7] = 64
	}
	copy(h[8:], p.src.AsSlice())
	copy(h[24:], p.dst.AsSlice())
	return append(h, p.payload...)
}

// packet is an IP packet of the family of its addresses.
func packet(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is4() {
		return ip4{src: src, dst: dst, proto: proto, payload: payload}.bytes()
	}
	return ip6{src: src, dst: dst, next: proto, payload: payload}.bytes()
}

// udp is a datagram with so many octets of nothing.
func udp(src, dst netip.AddrPort, octets int) []byte {
	return udpWith(src, dst, make([]byte, octets))
}

func udpWith(src, dst netip.AddrPort, payload []byte) []byte {
	u := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(u, src.Port())
	binary.BigEndian.PutUint16(u[2:], dst.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(8+len(payload)))
	u = append(u, payload...)
	c := ^sum(pseudo(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, len(u)), u)
	if c == 0 {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(u[6:], c)
	return u
}

// tcp is a segment amid a connection, its checksum right, or with partial only
// the pseudo header's part of it, as one leaves it to a device.
func tcp(src, dst netip.AddrPort, octets int, partial bool) []byte {
	t := make([]byte, 20+octets)
	binary.BigEndian.PutUint16(t, src.Port())
	binary.BigEndian.PutUint16(t[2:], dst.Port())
	binary.BigEndian.PutUint32(t[4:], 1)
	binary.BigEndian.PutUint32(t[8:], 1)
	t[12], t[13] = 5<<4, 0x10 // ACK
	binary.BigEndian.PutUint16(t[14:], 0xffff)
	c := pseudo(src.Addr(), dst.Addr(), unix.IPPROTO_TCP, len(t))
	if partial {
		binary.BigEndian.PutUint16(t[16:], sum(c, nil))
	} else {
		binary.BigEndian.PutUint16(t[16:], ^sum(c, t))
	}
	return t
}

// icmp is a message of ICMP or ICMPv6 with the rest of its header in body.
func icmp(src, dst netip.Addr, kind, code byte, body []byte) []byte {
	m := append([]byte{kind, code, 0, 0}, body...)
	start := uint32(0)
	if src.Is6() {
		start = pseudo(src, dst, unix.IPPROTO_ICMPV6, len(m))
	}
	binary.BigEndian.PutUint16(m[2:], ^sum(start, m))
	return m
}

// pseudo is the sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1).
func pseudo(src, dst netip.Addr, proto byte, length int) uint32 {
	s := uint32(proto) + uint32(length)
	for _, a := range [][]byte{src.AsSlice(), dst.AsSlice()} {
		s = add(s, a)
	}
	return s
}

func add(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// sum folds to the Internet checksum's one's complement sum (RFC 1071).
func sum(s uint32, b []byte) uint16 {
	s = add(s, b)
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// arp is a message for IPv4 over Ethernet.
func arp(op uint16, senderMAC stdnet.HardwareAddr, sender netip.Addr, targetMAC stdnet.HardwareAddr, target netip.Addr) []byte {
	a := []byte{0, 1, 8, 0, 6, 4}
	a = binary.BigEndian.AppendUint16(a, op)
	a = append(append(a, senderMAC...), sender.AsSlice()...)
	return append(append(a, targetMAC...), target.AsSlice()...)
}

// Offload is the header that goes before a frame on a packet socket with
// PACKET_VNET_HDR: what its sender leaves to the device (struct virtio_net_hdr).
type offload struct {
	flags, kind            byte
	headers, segment       uint16
	checkStart, checkWhere uint16
}

const (
	offloadHeader = 10

	needsChecksum = 1
	segmentTCP4   = 1
	segmentUFO    = 3
	segmentTCP6   = 4
	segmentUDP    = 5
)

func (o offload) before(frame []byte) []byte {
	b := []byte{o.flags, o.kind}
	for _, v := range []uint16{o.headers, o.segment, o.checkStart, o.checkWhere} {
		b = binary.NativeEndian.AppendUint16(b, v)
	}
	return append(b, frame...)
}
