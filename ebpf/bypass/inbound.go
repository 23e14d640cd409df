// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"net/netip"

	"croft/ebpf"

	"golang.org/x/sys/unix"
)

// What comes from outside at a public port, beyond what the lease takes in.
var inbound = []Item{
	{Name: "in", About: "from the world to a public port", At: AtSelf, direction: ebpf.Ingress, attack: in},
	{Name: "in-ipv6", About: "the same over IPv6", At: AtSelf, direction: ebpf.Ingress, attack: in6},
	{Name: "in-many-flows", About: "from 64 sources that are spoofed, in tiny packets", At: AtSelf, direction: ebpf.Ingress, attack: inSpoofed(64)},
	{Name: "in-new-flows", About: "from 4,096 sources that are spoofed, in tiny packets", At: AtSelf, direction: ebpf.Ingress,
		Stops: "the host's bound on how fast flows to a public port begin", attack: inSpoofed(4096)},
	{Name: "in-fragments", About: "in fragments", At: AtSelf, direction: ebpf.Ingress, attack: inFragments},
	{Name: "in-gso", About: "in super-packets", At: AtSelf, direction: ebpf.Ingress, attack: inSegments},
	{Name: "reflected", About: "connections to a closed public port, each of which the sliver refuses: its answers are its own packets", At: AtWorld, byHost: true, attack: reflected},
	{Name: "in-same-node", About: "from another sliver of the node", At: AtSelf, direction: ebpf.Ingress, attack: inPeer},
}

func (s *stage) from(v6 bool) ([]*flood, error) {
	to := netip.AddrPortFrom(s.host4, selfPort)
	if v6 {
		to = netip.AddrPortFrom(s.host6, selfPort)
	}
	fd, err := dial(s.world, unix.SOCK_DGRAM, 0, to)
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, big), 1, big + 8 + ipHeader(to.Addr())}})}, nil
}

func in(s *stage) ([]*flood, error)  { return s.from(false) }
func in6(s *stage) ([]*flood, error) { return s.from(true) }

// worldFrames floods from the world with IP packets.
func (s *stage) worldFrames(packets ...[]byte) ([]*flood, error) {
	link, err := s.w.LinkByName(worldDev)
	if err != nil {
		return nil, err
	}
	host, err := s.h.LinkByName(hostDev)
	if err != nil {
		return nil, err
	}
	fd, err := packetSocket(s.world, link.Attrs().Index, false)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, p := range packets {
		proto := uint16(unix.ETH_P_IP)
		if p[0]>>4 == 6 {
			proto = unix.ETH_P_IPV6
		}
		all = append(all, ether(host.Attrs().HardwareAddr, link.Attrs().HardwareAddr, proto, p))
	}
	return []*flood{newFlood(fd, shotsOf(all))}, nil
}

func inSpoofed(sources int) func(s *stage) ([]*flood, error) {
	return func(s *stage) ([]*flood, error) {
		var all [][]byte
		dst := netip.AddrPortFrom(s.host4, selfPort)
		for i := range sources {
			src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}), uint16(1024+i))
			all = append(all, packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, 1)))
		}
		return s.worldFrames(all...)
	}
}

func inFragments(s *stage) ([]*flood, error) {
	var all [][]byte
	src, dst := netip.AddrPortFrom(s.world4, 5000), netip.AddrPortFrom(s.host4, selfPort)
	data := udp(src, dst, 2800)
	for id := range uint16(256) {
		for off := 0; off < len(data); off += 704 {
			end := min(off+704, len(data))
			field := uint16(off / 8)
			if end < len(data) {
				field |= 0x2000
			}
			all = append(all, ip4{src: src.Addr(), dst: dst.Addr(), proto: unix.IPPROTO_UDP, id: id, fragment: field, payload: data[off:end]}.bytes())
		}
	}
	return s.worldFrames(all...)
}

func inSegments(s *stage) ([]*flood, error) {
	floods, err := s.from(false)
	if err != nil {
		return nil, err
	}
	fd := floods[0].fd
	if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, big); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, big*40), 40, (big + 28) * 40}})}, nil
}

func inPeer(s *stage) ([]*flood, error) {
	fd, err := dial(s.peer.ns, unix.SOCK_DGRAM, 0, netip.AddrPortFrom(s.host4, selfPort))
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, big), 1, big + 28}})}, nil
}

func reflected(s *stage) ([]*flood, error) {
	var all [][]byte
	dst := netip.AddrPortFrom(s.host4, selfPort)
	for i := range 4096 {
		src := netip.AddrPortFrom(s.world4, uint16(1024+i))
		syn := tcp(src, dst, 0, true)
		syn[13] = 2
		syn[16], syn[17] = 0, 0
		c := ^sum(pseudo(src.Addr(), dst.Addr(), unix.IPPROTO_TCP, len(syn)), syn)
		syn[16], syn[17] = byte(c>>8), byte(c)
		all = append(all, packet(src.Addr(), dst.Addr(), unix.IPPROTO_TCP, syn))
	}
	return s.worldFrames(all...)
}
