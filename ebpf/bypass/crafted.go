// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"bytes"
	"encoding/binary"
	"fmt"
	stdnet "net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What takes raw or packet sockets, which no sliver has: its namespace belongs to
// the initial user namespace, where it has no capability.
var crafted = []Item{
	{Name: "raw", About: "headers of its own on raw sockets, both families", At: AtWorld, attack: raw},
	{Name: "extension-headers", About: "IPv6 hop-by-hop, destination options, AH, alone and in chains", At: AtWorld, attack: extensions},
	{Name: "source-route", About: "IPv4 options with and without a route, IPv6 routing headers", At: AtWorld, none: true, attack: sourceRoutes},
	{Name: "fragments", About: "fragments of both families, tiny ones, ones without an end", At: AtWorld, attack: fragments},
	{Name: "lengths", About: "headers that claim less than there is, more, nothing, and runts", At: AtNode, attack: lengths},
	{Name: "tunnels", About: "IPIP, SIT, GRE, ESP, L2TP over both families", At: AtNode, attack: tunnels},
	{Name: "udp-tunnels", About: "VXLAN, Geneve, GUE and ESP in UDP", At: AtWorld, attack: udpTunnels},
	{Name: "vlan", About: "VLAN tags: none's (0), one, two", At: AtWorld, none: true, attack: vlans},
	{Name: "ethertypes", About: "MPLS, PPPoE, loopback and experimental frames", At: AtNode, none: true, attack: etherTypes},
	{Name: "arp", About: "requests, replies and announcements, its own and in others' names", At: AtNode, attack: arps, after: unmoved},
	{Name: "discovery", About: "solicitations, adverts, router adverts and redirects, its own and in others' names", At: AtNode, attack: discovery, after: unmoved},
	{Name: "groups", About: "multicast and broadcast addresses, IGMP and MLD, in L2 and L3", At: AtNode, attack: groups},
	{Name: "spoofed", About: "from the other sliver's, the host's and strangers' addresses and MACs", At: AtNode, none: true, attack: spoofed},
	{Name: "closed", About: "to the node's own addresses, the other sliver's, private and metadata ones, also embedded", At: AtNode, none: true, attack: closed},
	{Name: "icmp-errors", About: "packets that make routers answer: hops run out, no port, no route", At: AtSelf,
		Stops: "the kernel's own bound on ICMP errors, one a second to one address", attack: icmpErrors},
}

func raw(s *stage) (floods []*flood, err error) {
	for _, v6 := range []bool{false, true} {
		fd, err := dial(s.self.ns, unix.SOCK_RAW, unix.IPPROTO_RAW, netip.AddrPortFrom(s.outside(v6).Addr(), 0))
		if err != nil {
			return nil, err
		}
		data := s.datagram(v6, big)
		floods = append(floods, newFlood(fd, []shot{{data, 1, len(data)}}))
	}
	return floods, nil
}

// Extension headers of eight octets: padding, and an authentication header of 24.
func extension(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
func authentication(next byte) []byte {
	return append([]byte{next, 4, 0, 0, 0, 0, 0, 9}, make([]byte, 16)...)
}

func extensions(s *stage) ([]*flood, error) {
	src, dst := s.own(true), s.outside(true)
	datagram := udp(src, dst, big-100)
	with := func(first byte, chain ...[]byte) []byte {
		return s.frame(ip6{src: src.Addr(), dst: dst.Addr(), next: first, payload: append(bytes.Join(chain, nil), datagram...)}.bytes())
	}
	const hop, dest, ah, proto = unix.IPPROTO_HOPOPTS, unix.IPPROTO_DSTOPTS, unix.IPPROTO_AH, unix.IPPROTO_UDP
	long := [][]byte{extension(dest), extension(dest), extension(dest), extension(dest), extension(dest), extension(dest), extension(dest), extension(proto)}
	return s.frames(
		with(hop, extension(proto)),
		with(dest, extension(proto)),
		with(hop, extension(dest), extension(dest), extension(proto)),
		with(ah, authentication(proto)),
		with(dest, extension(ah), authentication(proto)),
		with(dest, long...),
		with(hop, append([]byte{proto, 7}, make([]byte, 62)...)), // one of 64 octets
	)
}

func sourceRoutes(s *stage) ([]*flood, error) {
	src4, dst4, src6, dst6 := s.own(false), s.outside(false), s.own(true), s.outside(true)
	opts := func(o ...byte) []byte {
		return s.frame(ip4{src: src4.Addr(), dst: dst4.Addr(), proto: unix.IPPROTO_UDP, options: o, payload: udp(src4, dst4, big-100)}.bytes())
	}
	route := func(kind, left byte, via netip.Addr) []byte {
		h := append([]byte{unix.IPPROTO_UDP, 2, kind, left, 0, 0, 0, 0}, via.AsSlice()...)
		return s.frame(ip6{src: src6.Addr(), dst: dst6.Addr(), next: unix.IPPROTO_ROUTING, payload: append(h, udp(src6, dst6, big-100)...)}.bytes())
	}
	private := netip.MustParseAddr("fd00::1")
	return s.frames(
		opts(1, 1, 1, 1),                           // no operation
		opts(7, 7, 4, 0, 0, 0, 0, 0),               // record route
		opts(131, 7, 4, 10, 0, 0, 1, 0),            // loose source route
		opts(137, 7, 4, 10, 0, 0, 1, 0),            // strict source route
		opts(148, 4, 0, 0),                         // router alert
		route(0, 1, private), route(0, 0, private), // deprecated by RFC 5095
		route(2, 1, private), route(4, 1, private), // Mobile IPv6, segment routing
	)
}

func fragments(s *stage) ([]*flood, error) {
	var all [][]byte
	const more = 0x2000
	cut := func(id uint16, size int, last bool) {
		src, dst := s.own(false), s.outside(false)
		data := udp(src, dst, big)
		for off := 0; off < len(data); off += size {
			end := min(off+size, len(data))
			field := uint16(off / 8)
			if end < len(data) || !last {
				field |= more
			}
			all = append(all, s.frame(ip4{src: src.Addr(), dst: dst.Addr(), proto: unix.IPPROTO_UDP, id: id, fragment: field, payload: data[off:end]}.bytes()))
		}
		src, dst = s.own(true), s.outside(true)
		data = udp(src, dst, big)
		for off := 0; off < len(data); off += size {
			end := min(off+size, len(data))
			field := uint16(off)
			if end < len(data) || !last {
				field |= 1
			}
			h := []byte{unix.IPPROTO_UDP, 0, byte(field >> 8), byte(field), 0, 0, byte(id >> 8), byte(id)}
			all = append(all, s.frame(ip6{src: src.Addr(), dst: dst.Addr(), next: unix.IPPROTO_FRAGMENT, payload: append(h, data[off:end]...)}.bytes()))
		}
	}
	for id := uint16(1); id < 400; id += 4 {
		cut(id, 1000, true)
		cut(id+1, 704, true)
		cut(id+2, 704, true)
		cut(id+3, 4096, true) // "atomic": one fragment, which is all
	}
	cut(500, 64, true)
	cut(501, 704, false)
	return s.frames(all...)
}

func lengths(s *stage) ([]*flood, error) {
	full4, full6 := s.datagram(false, big), s.datagram(true, big)
	claim := func(ip []byte, at int, v uint16) []byte {
		ip = bytes.Clone(ip)
		binary.BigEndian.PutUint16(ip[at:], v)
		if ip[0]>>4 == 4 {
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^sum(0, ip[:20]))
		}
		return s.frame(ip)
	}
	jumbo := append([]byte{unix.IPPROTO_UDP, 0, 0xc2, 4, 0, 1, 0, 0}, full6[40:]...) // RFC 2675
	bare := packet(s.self.addr(false), s.world4, unix.IPPROTO_UDP, nil)
	version := bytes.Clone(full4)
	version[0] = 7<<4 | 5
	all := [][]byte{
		claim(full4, 2, 28), claim(full4, 2, 20), claim(full4, 2, 0), claim(full4, 2, 0xffff),
		claim(full6, 4, 8), claim(full6, 4, 0), claim(full6, 4, 0xffff),
		s.frame(ip6{src: s.self.addr(true), dst: s.world6, next: unix.IPPROTO_HOPOPTS, payload: jumbo}.bytes()),
		s.frame(bare), s.frame(version),
		ether(s.self.gateway, s.self.mac, unix.ETH_P_IP, nil),
		ether(s.self.gateway, s.self.mac, unix.ETH_P_IPV6, nil),
		ether(s.self.gateway, s.self.mac, unix.ETH_P_IP, []byte{0x45}),
		ether(s.self.gateway, s.self.mac, unix.ETH_P_IPV6, full4),
		ether(s.self.gateway, s.self.mac, unix.ETH_P_IP, full6),
	}
	return s.frames(all...)
}

func tunnels(s *stage) ([]*flood, error) {
	inner4 := packet(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), unix.IPPROTO_UDP, make([]byte, big-100))
	inner6 := packet(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), unix.IPPROTO_UDP, make([]byte, big-100))
	gre := func(proto uint16, inner []byte) []byte {
		return append([]byte{0, 0, byte(proto >> 8), byte(proto)}, inner...)
	}
	const esp, l2tp = unix.IPPROTO_ESP, unix.IPPROTO_L2TP
	var all [][]byte
	for _, v6 := range []bool{false, true} {
		src, dst := s.self.addr(v6), s.outside(v6).Addr()
		for _, p := range []struct {
			proto   byte
			payload []byte
		}{
			{unix.IPPROTO_IPIP, inner4}, {unix.IPPROTO_IPV6, inner6},
			{unix.IPPROTO_GRE, gre(unix.ETH_P_IP, inner4)}, {unix.IPPROTO_GRE, gre(unix.ETH_P_IPV6, inner6)}, {unix.IPPROTO_GRE, gre(unix.ETH_P_TEB, inner4)},
			{esp, append([]byte{0, 0, 0, 9, 0, 0, 0, 1}, inner4...)}, {l2tp, append([]byte{0, 0, 0, 9}, inner4...)},
			{unix.IPPROTO_SCTP, append([]byte{0x1b, 0x58, 0x1b, 0x58}, inner4...)}, {253, inner4}, {0xff, inner4},
		} {
			all = append(all, s.frame(packet(src, dst, p.proto, p.payload)))
		}
	}
	return s.frames(all...)
}

func udpTunnels(s *stage) ([]*flood, error) {
	inner := packet(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), unix.IPPROTO_UDP, make([]byte, big-100))
	framed := ether(s.self.gateway, s.self.mac, unix.ETH_P_IP, inner)
	var all [][]byte
	for _, v6 := range []bool{false, true} {
		for port, payload := range map[uint16][]byte{
			4789: append([]byte{8, 0, 0, 0, 0, 0, 9, 0}, framed...),       // VXLAN
			6081: append([]byte{0, 0, 0x65, 0x58, 0, 0, 9, 0}, framed...), // Geneve
			6080: append([]byte{0, 4, 0, 0}, inner...),                    // GUE
			4500: append([]byte{0, 0, 0, 9, 0, 0, 0, 1}, inner...),        // ESP in UDP
			3544: inner,                                                   // Teredo
		} {
			src, dst := s.own(v6), netip.AddrPortFrom(s.outside(v6).Addr(), port)
			all = append(all, s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udpWith(src, dst, payload))))
		}
	}
	return s.frames(all...)
}

func vlans(s *stage) ([]*flood, error) {
	tagged := func(ip []byte, tags ...uint16) []byte {
		f := s.frame(ip)
		inner := f[12:]
		for i := len(tags) - 1; i >= 0; i-- {
			proto := uint16(unix.ETH_P_8021Q)
			if i == 0 && len(tags) > 1 {
				proto = unix.ETH_P_8021AD
			}
			tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, proto), tags[i])
			inner = append(tag, inner...)
		}
		return append(bytes.Clone(f[:12]), inner...)
	}
	var all [][]byte
	for _, v6 := range []bool{false, true} {
		ip := s.datagram(v6, big)
		all = append(all, tagged(ip, 0), tagged(ip, 0xe000), tagged(ip, 5), tagged(ip, 5, 6), tagged(ip, 0, 0))
	}
	return s.frames(all...)
}

func etherTypes(s *stage) ([]*flood, error) {
	var all [][]byte
	for _, proto := range []uint16{unix.ETH_P_MPLS_UC, unix.ETH_P_PPP_SES, unix.ETH_P_LOOPBACK, etherLocal} {
		all = append(all, ether(s.self.gateway, s.self.mac, proto, s.datagram(false, big)))
	}
	return s.frames(all...)
}

var everybody = stdnet.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func arps(s *stage) ([]*flood, error) {
	own, peer, uplink := s.self.addr(false), s.peer.addr(false), s.host4
	gateway := netip.MustParseAddr("169.254.53.53")
	var all [][]byte
	for _, dst := range []stdnet.HardwareAddr{everybody, s.self.gateway} {
		for _, sender := range []netip.Addr{own, peer, gateway, uplink} {
			for _, op := range []uint16{1, 2} {
				all = append(all, ether(dst, s.self.mac, unix.ETH_P_ARP, arp(op, s.self.mac, sender, s.self.gateway, gateway)),
					ether(dst, s.self.mac, unix.ETH_P_ARP, arp(op, s.self.mac, sender, everybody, sender)))
			}
		}
	}
	return s.frames(all...)
}

func discovery(s *stage) ([]*flood, error) {
	const solicit, advert, routerAdvert, redirect = 135, 136, 134, 137
	own, peer := s.self.addr(true), s.peer.addr(true)
	gateway, allNodes := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1")
	lladdr := append([]byte{2, 1}, s.self.mac...)
	var all [][]byte
	send := func(src, dst netip.Addr, kind byte, body []byte) {
		m := icmp(src, dst, kind, 0, body)
		all = append(all, s.frame(ip6{src: src, dst: dst, next: unix.IPPROTO_ICMPV6, hops: 255, payload: m}.bytes()))
	}
	for _, about := range []netip.Addr{own, peer, gateway, s.host6} {
		body := append([]byte{0, 0, 0, 0}, about.AsSlice()...)
		send(own, gateway, solicit, append(body, 1, 1, 2, 0xc7, 0, 0, 0, 9))
		send(own, allNodes, advert, append(append([]byte{0x60, 0, 0, 0}, about.AsSlice()...), lladdr...))
		send(about, gateway, advert, append(append([]byte{0xe0, 0, 0, 0}, about.AsSlice()...), lladdr...))
	}
	ra := append([]byte{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, lladdr...)
	for _, src := range []netip.Addr{own, gateway} {
		send(src, allNodes, routerAdvert, ra)
		send(src, gateway, routerAdvert, ra)
		send(src, gateway, redirect, append(append([]byte{0, 0, 0, 0}, own.AsSlice()...), s.world6.AsSlice()...))
	}
	return s.frames(all...)
}

// unmoved looks whether the node believed what it was told: a neighbour that was
// not set by hand, or one more route.
func unmoved(s *stage) error {
	h, err := netlink.NewHandleAt(s.node, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	neighbours, err := h.NeighList(s.self.at.Guard.IfIndex, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, n := range neighbours {
		a, _ := netip.AddrFromSlice(n.IP)
		const believed = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE
		if n.State&believed != 0 && s.guarded {
			return fmt.Errorf("%w: the node takes %s for %s", ErrHole, n.HardwareAddr, a.Unmap())
		}
		mine := a.Unmap() == s.self.addr(false) || a == s.self.addr(true)
		if n.State&netlink.NUD_PERMANENT != 0 && mine && n.HardwareAddr.String() != s.self.mac.String() {
			return fmt.Errorf("%w: the sliver is now at %s", ErrHole, n.HardwareAddr)
		}
	}
	routes, err := h.RouteList(nil, unix.AF_INET6)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_RA || r.Protocol == unix.RTPROT_REDIRECT {
			return fmt.Errorf("%w: the node has taken the route %s", ErrHole, r)
		}
	}
	return nil
}

func groups(s *stage) ([]*flood, error) {
	own4, own6 := s.own(false), s.own(true)
	var all [][]byte
	for _, a := range []string{"224.0.0.1", "224.0.0.251", "239.1.2.3", "255.255.255.255", "198.19.127.255"} {
		dst := netip.AddrPortFrom(netip.MustParseAddr(a), worldPort)
		ip := packet(own4.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(own4, dst, big))
		all = append(all, ether(everybody, s.self.mac, unix.ETH_P_IP, ip), s.frame(ip))
	}
	for _, a := range []string{"ff02::1", "ff02::fb", "ff05::1:3", "ff0e::1"} {
		dst := netip.AddrPortFrom(netip.MustParseAddr(a), worldPort)
		ip := packet(own6.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(own6, dst, big))
		all = append(all, ether(stdnet.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, s.self.mac, unix.ETH_P_IPV6, ip), s.frame(ip))
	}
	// To one host in L3, to all in L2.
	all = append(all, ether(everybody, s.self.mac, unix.ETH_P_IP, s.datagram(false, big)))
	report := netip.MustParseAddr("224.0.0.22")
	all = append(all, s.frame(packet(own4.Addr(), report, unix.IPPROTO_IGMP, []byte{0x22, 0, 0xf9, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3})))
	mld := netip.MustParseAddr("ff02::16")
	m := icmp(own6.Addr(), mld, 143, 0, append([]byte{0, 0, 0, 1, 4, 0, 0, 0}, netip.MustParseAddr("ff05::1:3").AsSlice()...))
	alert := append([]byte{unix.IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}, m...)
	all = append(all, s.frame(ip6{src: own6.Addr(), dst: mld, next: unix.IPPROTO_HOPOPTS, hops: 1, payload: alert}.bytes()))
	return s.frames(all...)
}

func spoofed(s *stage) ([]*flood, error) {
	var all [][]byte
	for _, from := range []netip.Addr{s.peer.addr(false), s.host4, s.world4, netip.MustParseAddr("9.9.9.9"), netip.IPv4Unspecified()} {
		src, dst := netip.AddrPortFrom(from, 5000), s.outside(false)
		all = append(all, s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, big))))
	}
	for _, from := range []netip.Addr{s.peer.addr(true), s.host6, s.world6, netip.MustParseAddr("2620:fe::fe"), netip.IPv6Unspecified()} {
		src, dst := netip.AddrPortFrom(from, 5000), s.outside(true)
		all = append(all, s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, big))))
	}
	// In everything the other sliver, but for the cable that it comes on.
	peer := netip.AddrPortFrom(s.peer.addr(false), 5000)
	all = append(all, ether(s.peer.gateway, s.peer.mac, unix.ETH_P_IP, packet(peer.Addr(), s.world4, unix.IPPROTO_UDP, udp(peer, s.outside(false), big))))
	for _, mac := range []stdnet.HardwareAddr{s.peer.mac, s.self.gateway, {2, 0, 0, 0, 0, 1}, everybody} {
		all = append(all, ether(s.self.gateway, mac, unix.ETH_P_IP, s.datagram(false, big)), ether(s.self.gateway, mac, unix.ETH_P_IPV6, s.datagram(true, big)))
	}
	return s.frames(all...)
}

func closed(s *stage) ([]*flood, error) {
	targets := []string{s.peer.addr(false).String(), s.self.addr(false).String(), "169.254.169.254", "127.0.0.1", "10.0.0.1",
		"192.168.1.1", "172.16.0.1", "100.64.0.1", "168.63.129.16", "0.0.0.0", "240.0.0.1",
		s.peer.addr(true).String(), "::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:a00:1::1", "2001::1", "fe80::1", "fd00:ec2::254"}
	addrs, err := s.uplinks()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		targets = append(targets, a.String())
	}
	var all [][]byte
	for _, text := range targets {
		to := netip.MustParseAddr(text)
		src, dst := s.own(to.Is6()), netip.AddrPortFrom(to, 80)
		all = append(all, s.frame(packet(src.Addr(), dst.Addr(), unix.IPPROTO_UDP, udp(src, dst, big))))
	}
	// The resolver's address is open for DNS, and for nothing else.
	resolver := netip.AddrPortFrom(netip.MustParseAddr("169.254.53.53"), 80)
	src := s.own(false)
	all = append(all, s.frame(packet(src.Addr(), resolver.Addr(), unix.IPPROTO_UDP, udp(src, resolver, big))),
		s.frame(packet(src.Addr(), resolver.Addr(), unix.IPPROTO_ICMP, icmp(src.Addr(), resolver.Addr(), 8, 0, make([]byte, big)))))
	return s.frames(all...)
}

// uplinks are the addresses of both ends of the node's uplink.
func (s *stage) uplinks() (all []netip.Addr, err error) {
	h, err := netlink.NewHandleAt(s.node, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	for _, handle := range []*netlink.Handle{h, s.h} {
		addrs, err := handle.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			return nil, err
		}
		for _, x := range addrs {
			a, _ := netip.AddrFromSlice(x.IP)
			if a = a.Unmap(); !a.IsLoopback() && a != s.host4 && a != s.host6 && !a.IsLinkLocalUnicast() {
				all = append(all, a)
			}
		}
	}
	return all, nil
}

func icmpErrors(s *stage) ([]*flood, error) {
	var all [][]byte
	for hops := byte(1); hops <= 3; hops++ {
		src, dst := s.own(false), s.outside(false)
		all = append(all, s.frame(ip4{src: src.Addr(), dst: dst.Addr(), proto: unix.IPPROTO_UDP, ttl: hops, payload: udp(src, dst, big)}.bytes()))
		src, dst = s.own(true), s.outside(true)
		all = append(all, s.frame(ip6{src: src.Addr(), dst: dst.Addr(), next: unix.IPPROTO_UDP, hops: hops, payload: udp(src, dst, big)}.bytes()))
	}
	return s.frames(all...)
}
