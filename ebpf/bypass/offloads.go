// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is left to the device: one packet that becomes many, or another.
var offloads = []Item{
	{Name: "gso", About: "UDP_SEGMENT: forty datagrams in one packet", At: AtWorld, attack: segments},
	{Name: "gso-small", About: "UDP_SEGMENT: sixty datagrams of 20 octets in one packet", At: AtWorld, attack: smallSegments},
	{Name: "tso", About: "TCP super-packets from a packet socket, in segments large and small", At: AtWorld, attack: tso},
	{Name: "gso-crafted", About: "UDP super-packets from a packet socket, the old kind (UFO) too, with headers that lie", At: AtWorld, attack: craftedSegments},
	{Name: "checksum", About: "checksums left to the device, where an address stands", At: AtWorld, none: true, attack: checksums},
	{Name: "jumbo", About: "packets longer than the link's MTU", At: AtWorld,
		Stops: "the kernel: a veth passes nothing longer than its other end's MTU", attack: jumbo},
}

func (s *stage) segmented(octets, count int) (floods []*flood, err error) {
	if err := s.superPackets(); err != nil {
		return nil, err
	}
	for _, v6 := range []bool{false, true} {
		to := s.outside(v6)
		fd, err := dial(s.self.ns, unix.SOCK_DGRAM, 0, to)
		if err != nil {
			return nil, err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, octets); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		each := octets + 8 + ipHeader(to.Addr())
		floods = append(floods, newFlood(fd, []shot{{make([]byte, octets*count), count, each * count}}))
	}
	return floods, nil
}

func segments(s *stage) ([]*flood, error)      { return s.segmented(big, 40) }
func smallSegments(s *stage) ([]*flood, error) { return s.segmented(20, 60) }

// superPackets has the sliver's interface take the largest ones again: the
// shaper made them small, which somebody with power over it could undo.
func (s *stage) superPackets() error {
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return err
	}
	if err := s.self.in.LinkSetGSOMaxSize(link, 65_536); err != nil {
		return err
	}
	return s.self.in.LinkSetGSOMaxSegs(link, 65_535)
}

// offloaded floods with frames that have an offload header.
func (s *stage) offloaded(shots ...shot) ([]*flood, error) {
	if err := s.superPackets(); err != nil {
		return nil, err
	}
	fd, err := packetSocket(s.self.ns, s.self.eth, true)
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, shots)}, nil
}

// superTCP is one packet of so many octets of payload to be cut into segments.
func (s *stage) superTCP(v6 bool, octets, segment int, sport uint16) shot {
	src, dst := netip.AddrPortFrom(s.self.addr(v6), sport), s.outside(v6)
	headers, kind := 20, byte(segmentTCP4)
	if v6 {
		headers, kind = 40, segmentTCP6
	}
	frame := s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_TCP, tcp(src, dst, octets, true)))
	count := (octets + segment - 1) / segment
	return shot{offload{needsChecksum, kind, uint16(etherHeader + headers + 20), uint16(segment), uint16(etherHeader + headers), 16}.before(frame),
		count, octets + count*(headers+20)}
}

func tso(s *stage) ([]*flood, error) {
	var all []shot
	for port := uint16(5000); port < 5032; port++ {
		all = append(all, s.superTCP(false, 42_000, 1400, port), s.superTCP(true, 42_000, 1400, port),
			s.superTCP(false, 400, 8, port), s.superTCP(true, 50, 1, port))
	}
	return s.offloaded(all...)
}

func (s *stage) superUDP(v6 bool, kind byte, octets, segment int) shot {
	src, dst := s.own(v6), s.outside(v6)
	headers := ipHeader(src.Addr())
	payload := udp(src, dst, octets)
	c := sum(pseudo(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, len(payload)), nil)
	payload[6], payload[7] = byte(c>>8), byte(c)
	count := (octets + segment - 1) / segment
	return shot{offload{needsChecksum, kind, uint16(etherHeader + headers + 8), uint16(segment), uint16(etherHeader + headers), 6}.
		before(s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, payload))), count, octets + count*(headers+8)}
}

func craftedSegments(s *stage) ([]*flood, error) {
	lie := s.superUDP(false, segmentUDP, 20_000, 1000)
	lie.data[offloadHeader+etherHeader+2], lie.data[offloadHeader+etherHeader+3] = 0, 0 // total length: none
	lie.data[offloadHeader+etherHeader+10], lie.data[offloadHeader+etherHeader+11] = 0, 0
	c := ^sum(0, lie.data[offloadHeader+etherHeader:][:20])
	lie.data[offloadHeader+etherHeader+10], lie.data[offloadHeader+etherHeader+11] = byte(c>>8), byte(c)
	return s.offloaded(
		s.superUDP(false, segmentUDP, 42_000, 1400), s.superUDP(true, segmentUDP, 42_000, 1400),
		s.superUDP(false, segmentUDP, 500, 10), s.superUDP(true, segmentUDP, 50, 1),
		s.superUDP(false, segmentUFO, 20_000, 1400), s.superUDP(true, segmentUFO, 20_000, 1400),
		lie)
}

// checksums asks the device to write two octets where an address stands, which
// is after guard, routes and translation have looked at it. IPv6 has no checksum
// of its own that would give it away.
func checksums(s *stage) ([]*flood, error) {
	if err := s.checksumming(false); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() error { return s.checksumming(true) })
	src, dst := s.own(true), s.outside(true)
	frame := s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, big)))
	var all []shot
	// The source is octets 22 to 37 of the frame, the destination 38 to 53.
	for _, at := range []struct{ start, where uint16 }{{20, 20}, {20, 30}, {40, 46}, {40, 52}} {
		all = append(all, shot{offload{flags: needsChecksum, checkStart: at.start, checkWhere: at.where - at.start}.before(frame), 1, len(frame) - etherHeader})
	}
	return s.offloaded(all...)
}

func jumbo(s *stage) ([]*flood, error) {
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return nil, err
	}
	if err := s.self.in.LinkSetMTU(link, 9000); err != nil {
		return nil, err
	}
	return s.frames(s.frame(s.datagram(false, 8900)), s.frame(s.datagram(true, 8900)))
}

// checksumming says whether the host's interface is to leave checksums to its
// hardware, as a veth does; without, they are written in software on the way out.
func (s *stage) checksumming(on bool) error {
	return within(s.host, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		order := struct{ command, value uint32 }{unix.ETHTOOL_STXCSUM, 0}
		if on {
			order.value = 1
		}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&order)}
		copy(request.name[:], hostDev)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("switching checksum offload: %w", errno)
		}
		return nil
	})
}
