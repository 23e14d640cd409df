// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	stdnet "net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// What takes power over the sliver's own end of its veth.
var links = []Item{
	{Name: "mac-change", About: "another MAC on its interface", At: AtWorld, none: true, attack: otherMAC},
	{Name: "address-change", About: "other addresses on its interface, the other sliver's too", At: AtNode, none: true, attack: otherAddress},
	{Name: "veth-renamed", About: "its interface has another name", At: AtWorld, attack: renamed},
	{Name: "veth-moved", About: "its interface is in another namespace", At: AtWorld, attack: moved},
}

// set brings self's interface into a state in which it works: up, with its
// addresses, neighbours and routes.
func (s *stage) set(ns netns.NsHandle, h *netlink.Handle, link netlink.Link) error {
	if err := h.LinkSetUp(link); err != nil {
		return err
	}
	index := link.Attrs().Index
	for _, v6 := range []bool{false, true} {
		own, gateway, family := s.self.addr(v6), netip.MustParseAddr("169.254.53.53"), unix.AF_INET
		if v6 {
			gateway, family = netip.MustParseAddr("fe80::1"), unix.AF_INET6
		}
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: ipNet(own, own.BitLen()), Flags: unix.IFA_F_NODAD}); err != nil {
			return err
		}
		if err := h.NeighSet(&netlink.Neigh{LinkIndex: index, Family: family, State: netlink.NUD_PERMANENT,
			IP: gateway.AsSlice(), HardwareAddr: s.self.gateway}); err != nil {
			return err
		}
		everywhere := netip.PrefixFrom(own, 0).Masked()
		if err := h.RouteReplace(&netlink.Route{LinkIndex: index, Dst: ipNet(everywhere.Addr(), 0), Gw: gateway.AsSlice(),
			Flags: int(netlink.FLAG_ONLINK)}); err != nil {
			return err
		}
	}
	return nil
}

func otherMAC(s *stage) ([]*flood, error) {
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return nil, err
	}
	if err := s.self.in.LinkSetHardwareAddr(link, stdnet.HardwareAddr{2, 0, 0, 0, 0, 1}); err != nil {
		return nil, err
	}
	if err := s.set(s.self.ns, s.self.in, link); err != nil {
		return nil, err
	}
	return s.datagrams(s.outside(false), big)
}

func otherAddress(s *stage) (floods []*flood, err error) {
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return nil, err
	}
	for _, a := range []netip.Addr{s.peer.addr(false), netip.MustParseAddr("9.9.9.9"), s.peer.addr(true), netip.MustParseAddr("2620:fe::fe")} {
		if err := s.self.in.AddrReplace(link, &netlink.Addr{IPNet: ipNet(a, a.BitLen()), Flags: unix.IFA_F_NODAD}); err != nil {
			return nil, err
		}
		fd, err := dialFrom(s.self.ns, netip.AddrPortFrom(a, 5000), s.outside(a.Is6()))
		if err != nil {
			return nil, err
		}
		floods = append(floods, newFlood(fd, []shot{{make([]byte, big), 1, big + 8 + ipHeader(a)}}))
	}
	return floods, nil
}

// dialFrom makes a UDP socket with an address of its own.
func dialFrom(ns netns.NsHandle, from, to netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := socket(ns, family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, sockaddr(from)); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func renamed(s *stage) ([]*flood, error) {
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return nil, err
	}
	if err := s.self.in.LinkSetDown(link); err != nil {
		return nil, err
	}
	if err := s.self.in.LinkSetName(link, "other0"); err != nil {
		return nil, err
	}
	if err := s.set(s.self.ns, s.self.in, link); err != nil {
		return nil, err
	}
	return s.datagrams(s.outside(false), big)
}

func moved(s *stage) ([]*flood, error) {
	ns, err := anonymous()
	if err != nil {
		return nil, err
	}
	s.undo = append([]func() error{ns.Close}, s.undo...) // after the sliver has gone: its interface is there
	link, err := s.self.in.LinkByIndex(s.self.eth)
	if err != nil {
		return nil, err
	}
	if err := s.self.in.LinkSetNsFd(link, int(ns)); err != nil {
		return nil, err
	}
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if link, err = h.LinkByName(sliverDev); err != nil {
		return nil, err
	}
	if err := s.set(ns, h, link); err != nil {
		return nil, err
	}
	to := s.outside(false)
	fd, err := dial(ns, unix.SOCK_DGRAM, 0, to)
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, []shot{{make([]byte, big), 1, big + 28}})}, nil
}
