// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ordinary is what a program does about an item that has no capability, as none has
// in a sliver, where it need not stop at a packet socket that it does not get.
// IPv4 alone, which all receivers have.
var ordinary = map[string]func(*stage) ([]*flood, error){
	"tiny":         tinyDatagrams,
	"many-flows":   manyPorts,
	"priority":     highest,
	"ping":         pingSockets,
	"source-route": recorded,
	"fragments":    large,
	"udp-tunnels":  toTunnels,
	"groups":       toGroups,
	"spoofed":      fromOthers,
	"closed":       toClosed,
	"gso":          func(s *stage) ([]*flood, error) { return s.cut(big, 40) },
	"gso-small":    func(s *stage) ([]*flood, error) { return s.cut(20, 60) },
}

// opened sets options of a flood's socket.
func opened(f []*flood, err error, options ...[3]int) ([]*flood, error) {
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(f[0].fd, o[0], o[1], o[2]); err != nil {
			return nil, errors.Join(fmt.Errorf("setting socket option: %w", err), f[0].close())
		}
	}
	return f, nil
}

// toMany floods many addresses by one socket, with datagrams of so many octets.
func (s *stage) toMany(octets int, at ...netip.AddrPort) ([]*flood, error) {
	fd, err := socket(s.self.ns, unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	shots := make([]shot, len(at))
	for i := range shots {
		shots[i] = shot{make([]byte, octets), 1, octets + 28}
	}
	return []*flood{newFlood(fd, shots).aim(at)}, nil
}

func tinyDatagrams(s *stage) (floods []*flood, err error) {
	for octets := range 2 {
		f, err := s.datagrams(s.outside(false), octets)
		if err != nil {
			return nil, err
		}
		floods = append(floods, f...)
	}
	return floods, nil
}

func manyPorts(s *stage) ([]*flood, error) {
	var at []netip.AddrPort
	for i := range 4096 {
		at = append(at, netip.AddrPortFrom(s.world4, uint16(1024+i*13%60000)))
	}
	return s.toMany(4, at...)
}

// highest is the priority that anybody may give.
func highest(s *stage) ([]*flood, error) {
	f, err := s.datagrams(s.outside(false), big)
	return opened(f, err, [3]int{unix.SOL_SOCKET, unix.SO_PRIORITY, 6}, [3]int{unix.IPPROTO_IP, unix.IP_TOS, 0xb8})
}

func pingSockets(s *stage) ([]*flood, error) {
	fd, err := dial(s.self.ns, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, netip.AddrPortFrom(s.world4, 0))
	if err != nil {
		return nil, err
	}
	echo := append([]byte{8, 0, 0, 0, 0, 7, 0, 1}, make([]byte, big)...)
	return []*flood{newFlood(fd, []shot{{echo, 1, len(echo) + 20}})}, nil
}

// recorded asks routers to write down the route.
func recorded(s *stage) ([]*flood, error) {
	f, err := s.datagrams(s.outside(false), big-100)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptString(f[0].fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string([]byte{7, 7, 4, 0, 0, 0, 0, 0})); err != nil {
		return nil, errors.Join(fmt.Errorf("setting IP options: %w", err), f[0].close())
	}
	return f, nil
}

// large datagrams, which the kernel cuts into four fragments.
func large(s *stage) ([]*flood, error) {
	const octets = 5600
	fd, err := dial(s.self.ns, unix.SOCK_DGRAM, 0, s.outside(false))
	if err != nil {
		return nil, err
	}
	return opened([]*flood{newFlood(fd, []shot{{make([]byte, octets), 4, octets + 8 + 4*20}})}, nil,
		[3]int{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT})
}

func toTunnels(s *stage) ([]*flood, error) {
	var at []netip.AddrPort
	for _, port := range []uint16{4789, 6081, 6080, 4500, 3544} { // as in udpTunnels
		at = append(at, netip.AddrPortFrom(s.world4, port))
	}
	return s.toMany(big, at...)
}

func toAll(port uint16, addrs ...string) (at []netip.AddrPort) {
	for _, a := range addrs {
		at = append(at, netip.AddrPortFrom(netip.MustParseAddr(a), port))
	}
	return at
}

func toGroups(s *stage) ([]*flood, error) {
	f, err := s.toMany(big, toAll(worldPort, "224.0.0.1", "224.0.0.251", "239.1.2.3", "255.255.255.255")...)
	return opened(f, err, [3]int{unix.SOL_SOCKET, unix.SO_BROADCAST, 1})
}

// fromOthers has an address that is not the sliver's.
func fromOthers(s *stage) ([]*flood, error) {
	fd, err := dialFrom(s.self.ns, netip.AddrPortFrom(s.peer.addr(false), 5000), s.outside(false))
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, big), 1, big + 28}})}, nil
}

func toClosed(s *stage) ([]*flood, error) {
	return s.toMany(big, toAll(80, s.peer.addr(false).String(), "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1",
		"168.63.129.16", "169.254.53.53")...)
}

// cut leaves it to the kernel to make many datagrams of one message.
func (s *stage) cut(octets, count int) ([]*flood, error) {
	fd, err := dial(s.self.ns, unix.SOCK_DGRAM, 0, s.outside(false))
	if err != nil {
		return nil, err
	}
	return opened([]*flood{newFlood(fd, []shot{{make([]byte, octets*count), count, (octets + 28) * count}})}, nil,
		[3]int{unix.SOL_UDP, unix.UDP_SEGMENT, octets})
}
