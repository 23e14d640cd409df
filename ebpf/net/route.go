// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	everywhere4 = netip.MustParsePrefix("0.0.0.0/0")
	everywhere6 = netip.MustParsePrefix("::/0")
)

func ipNet(a netip.Addr, bits int) *stdnet.IPNet {
	return &stdnet.IPNet{IP: a.AsSlice(), Mask: stdnet.CIDRMask(bits, a.BitLen())}
}

// route sends dst over dev, by way of via where that is given.
func route(h *netlink.Handle, dev netlink.Link, dst netip.Prefix, via netip.Addr) error {
	r := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(dst.Addr(), dst.Bits())}
	if via.IsValid() {
		r.Gw = via.AsSlice()
		r.Flags = int(netlink.FLAG_ONLINK)
	} else {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := h.RouteReplace(r); err != nil {
		return fmt.Errorf("routing %s over %s: %w", dst, dev.Attrs().Name, err)
	}
	return nil
}

// neighbour is set for good, so that nobody's ARP or NDP is believed.
func neighbour(h *netlink.Handle, dev netlink.Link, at netip.Addr, mac [6]byte) error {
	family := unix.AF_INET
	if at.Is6() {
		family = unix.AF_INET6
	}
	err := h.NeighSet(&netlink.Neigh{LinkIndex: dev.Attrs().Index, Family: family, State: netlink.NUD_PERMANENT,
		IP: at.AsSlice(), HardwareAddr: mac[:]})
	if err != nil {
		return fmt.Errorf("setting neighbour %s on %s: %w", at, dev.Attrs().Name, err)
	}
	return nil
}

func notFound(err error) bool {
	var none netlink.LinkNotFoundError
	return errors.As(err, &none)
}
