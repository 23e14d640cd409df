// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A spout puts frames by hand onto a sliver's own device, or packets with made-up
// sources onto the world's network. One goroutine uses it.
type spout struct {
	fd    int
	to    unix.Sockaddr // of packets without a frame; nil: frames
	head  []byte        // Ethernet's, of frames
	frame []byte        // of the last packet that was made
}

// spout opens a packet socket in the sliver's namespace.
func (g *guest) spout() (*spout, error) { return newSpout(g.space, g.index, g.mac, g.next) }

// newSpout opens one at a device, from its own MAC to the one that is next.
func newSpout(at space, index int, own, next net.HardwareAddr) (s *spout, err error) {
	s = &spout{head: append(append(append([]byte{}, next...), own...), 0x08, 0x00)}
	err = within(at.NsHandle, func() error {
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: index})
	})
	return s, err
}

// spoofer opens one in the world, from where packets go to the node.
func (n *soakNode) spoofer() (s *spout, err error) {
	s = &spout{to: &unix.SockaddrInet4{Addr: n.address.As4()}}
	err = within(n.world.NsHandle, func() (err error) {
		s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	return s, err
}

func (s *spout) close() { unix.Close(s.fd) }

// put sends what was made, and says whether the device took it.
func (s *spout) put() bool {
	if s.to != nil {
		return unix.Sendto(s.fd, s.frame, 0, s.to) == nil
	}
	_, err := unix.Write(s.fd, s.frame)
	return err == nil
}

// ip4 makes an IPv4 packet of so many octets of payload behind the header.
func (s *spout) ip4(src, dst netip.Addr, proto byte, payload int) (header, body []byte) {
	size := len(s.head) + 20 + payload
	if cap(s.frame) < size {
		s.frame = make([]byte, size)
	}
	s.frame = s.frame[:size]
	copy(s.frame, s.head)
	h := s.frame[len(s.head):]
	clear(h[:min(len(h), 28)])
	h[0], h[8], h[9] = 4<<4|5, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+payload))
	a, b := src.As4(), dst.As4()
	copy(h[12:], a[:])
	copy(h[16:], b[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h[:20]))
	return h[:20], h[20:]
}

// udp4 makes a datagram without a checksum of its own, which IPv4 allows.
func (s *spout) udp4(src, dst netip.AddrPort, octets int) {
	_, u := s.ip4(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, 8+octets)
	binary.BigEndian.PutUint16(u, src.Port())
	binary.BigEndian.PutUint16(u[2:], dst.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(8+octets))
}

// wrong changes the frame of a good datagram into one that the guard refuses, each
// kind in turn.
func (s *spout) wrong(kind int) {
	h := s.frame[len(s.head):]
	switch kind % 6 {
	case 0: // malformed: longer by its own word than it is
		binary.BigEndian.PutUint16(h[2:], uint16(len(h)+100))
	case 1: // protocol
		binary.BigEndian.PutUint16(s.frame[12:], 0x8847)
	case 2: // source
		h[12] ^= 1
	case 3: // header: options, of which the first is "no operation"
		h[0] = 4<<4 | 6
		h[20], h[21], h[22], h[23] = 1, 1, 1, 0
	case 4: // fragment
		binary.BigEndian.PutUint16(h[6:], 1<<13)
	case 5: // closed
		copy(h[16:], []byte{10, 1, 2, 3})
	}
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], checksum(h[:20]))
}

func checksum(h []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(h); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
