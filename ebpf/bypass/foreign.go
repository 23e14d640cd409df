// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"croft/ebpf"

	"golang.org/x/sys/unix"
)

// foreign says what is wrong with a packet that reached the world, or nothing:
// whatever a sliver sends arrives where the guard was told that it goes, from
// the host's address and from a port of the sliver's block, or nobody could say
// afterwards who sent it.
func (s *stage) foreign(ip []byte) string {
	if !s.guarded || s.item.At != AtWorld || s.item.direction != ebpf.Egress {
		return ""
	}
	var src, dst netip.Addr
	var proto byte
	var rest []byte
	switch {
	case len(ip) >= 20 && ip[0]>>4 == 4:
		src, dst, proto = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20])), ip[9]
		if binary.BigEndian.Uint16(ip[6:])&0x1fff == 0 {
			rest = ip[min(int(ip[0]&15)*4, len(ip)):]
		}
	case len(ip) >= 40 && ip[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
		proto, rest = past(ip[6], ip[40:])
	default:
		return fmt.Sprintf("no IP packet: % x", ip[:min(len(ip), 20)])
	}
	if src != s.host4 && src != s.host6 {
		return fmt.Sprintf("from %s, which is not the host", src)
	}
	if dst != s.world4 && dst != s.world6 {
		return fmt.Sprintf("to %s, which the guard never saw", dst)
	}
	if s.item.byHost || len(rest) < 8 {
		return ""
	}
	var port uint16
	switch {
	case proto == unix.IPPROTO_UDP || proto == unix.IPPROTO_TCP:
		port = binary.BigEndian.Uint16(rest)
	case proto == unix.IPPROTO_ICMP && rest[0] == 8, proto == unix.IPPROTO_ICMPV6 && rest[0] == 128:
		port = binary.BigEndian.Uint16(rest[4:])
	default:
		return ""
	}
	block := s.self.at.SourcePorts
	if port < block[0] || port > block[1] {
		return fmt.Sprintf("from port %d, which is not of the sliver's block %d to %d", port, block[0], block[1])
	}
	return ""
}

// past walks IPv6 extension headers.
func past(next byte, rest []byte) (byte, []byte) {
	for len(rest) >= 8 {
		length := 0
		switch next {
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_DSTOPTS, unix.IPPROTO_ROUTING:
			length = (int(rest[1]) + 1) * 8
		case unix.IPPROTO_AH:
			length = (int(rest[1]) + 2) * 4
		default:
			return next, rest
		}
		next, rest = rest[0], rest[min(length, len(rest)):]
	}
	return next, nil
}
