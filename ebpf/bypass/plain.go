// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// big is the payload of a datagram that fills a packet of the usual size.
const big = 1400

// What any program in a sliver can do.
var plain = []Item{
	{Name: "udp", About: "datagrams as fast as can be", At: AtWorld,
		attack: func(s *stage) ([]*flood, error) { return s.datagrams(netip.AddrPortFrom(s.world4, worldPort), big) }},
	{Name: "ipv6", About: "the same over IPv6", At: AtWorld,
		attack: func(s *stage) ([]*flood, error) { return s.datagrams(netip.AddrPortFrom(s.world6, worldPort), big) }},
	{Name: "tiny", About: "datagrams of one octet and of none", At: AtWorld, attack: tiny},
	{Name: "same-node", About: "to another sliver of the node through its public port", At: AtPeer,
		attack: func(s *stage) ([]*flood, error) { return s.datagrams(netip.AddrPortFrom(s.host4, peerPort), big) }},
	{Name: "own-port", About: "to itself through its own public port", At: AtSelf,
		attack: func(s *stage) ([]*flood, error) { return s.datagrams(netip.AddrPortFrom(s.host4, selfPort), big) }},
	{Name: "many-flows", About: "every packet a new flow, both families", At: AtWorld, attack: manyFlows},
	{Name: "priority", About: "socket priority and mark of another sliver's class", At: AtWorld, attack: priority},
	{Name: "ping", About: "echo requests, 1,400 octets and none", At: AtWorld, attack: ping},
	{Name: "dns", About: "questions to the node's resolver, whose upstream answers so as to be asked again over TCP",
		At: AtWorld, byHost: true,
		Stops: "the resolver's own bounds: 100 questions a second, 2 of them by TCP", attack: questions},
}

// datagrams floods an address through the kernel's own UDP.
func (s *stage) datagrams(to netip.AddrPort, octets int) ([]*flood, error) {
	fd, err := dial(s.self.ns, unix.SOCK_DGRAM, 0, to)
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, octets), 1, octets + 8 + ipHeader(to.Addr())}})}, nil
}

func ipHeader(a netip.Addr) int {
	if a.Is4() {
		return 20
	}
	return 40
}

// frames floods with whole frames by a packet socket of the sliver. Packets are
// IP unless told.
func (s *stage) frames(frames ...[]byte) ([]*flood, error) {
	fd, err := packetSocket(s.self.ns, s.self.eth, false)
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, shotsOf(frames))}, nil
}

func shotsOf(frames [][]byte) (all []shot) {
	for _, f := range frames {
		all = append(all, shot{f, 1, max(len(f)-etherHeader, 0)})
	}
	return all
}

// frame puts an IP packet behind the sliver's own MAC, towards its gateway.
func (s *stage) frame(ip []byte) []byte {
	proto := uint16(unix.ETH_P_IP)
	if ip[0]>>4 == 6 {
		proto = unix.ETH_P_IPV6
	}
	return ether(s.self.gateway, s.self.mac, proto, ip)
}

// own and world are a flow's two ends in a family.
func (s *stage) own(v6 bool) netip.AddrPort { return netip.AddrPortFrom(s.self.addr(v6), 5000) }

func (s *stage) outside(v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(s.world6, worldPort)
	}
	return netip.AddrPortFrom(s.world4, worldPort)
}

// datagram is a UDP packet from the sliver to the world.
func (s *stage) datagram(v6 bool, octets int) []byte {
	src, dst := s.own(v6), s.outside(v6)
	return packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, octets))
}

func tiny(s *stage) ([]*flood, error) {
	return s.frames(s.frame(s.datagram(false, 0)), s.frame(s.datagram(false, 1)), s.frame(s.datagram(true, 0)), s.frame(s.datagram(true, 1)))
}

func manyFlows(s *stage) ([]*flood, error) {
	var all [][]byte
	for i := range 8192 {
		v6 := i%2 == 1
		src, dst := s.own(v6), s.outside(v6)
		src = netip.AddrPortFrom(src.Addr(), uint16(1024+i*7%60000))
		dst = netip.AddrPortFrom(dst.Addr(), uint16(1024+i*13%60000))
		all = append(all, s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, 4))))
	}
	return s.frames(all...)
}

func priority(s *stage) ([]*flood, error) {
	floods, err := s.datagrams(s.outside(false), big)
	if err != nil {
		return nil, err
	}
	fd := floods[0].fd
	for _, o := range [][2]int{{unix.SO_PRIORITY, int(s.peer.at.Guard.Class)}, {unix.SO_MARK, 1}} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], o[1]); err != nil {
			return nil, errors.Join(err, floods[0].close())
		}
	}
	return floods, nil
}

func ping(s *stage) ([]*flood, error) {
	const request4, request6 = 8, 128
	var all [][]byte
	for _, octets := range []int{0, big} {
		body := append([]byte{0, 7, 0, 1}, make([]byte, octets)...)
		all = append(all,
			s.frame(packet(s.self.addr(false), s.world4, unix.IPPROTO_ICMP, icmp(s.self.addr(false), s.world4, request4, 0, body))),
			s.frame(packet(s.self.addr(true), s.world6, unix.IPPROTO_ICMPV6, icmp(s.self.addr(true), s.world6, request6, 0, body))))
	}
	return s.frames(all...)
}
