// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	bridge = "lan"    // in a site's namespace
	uplink = "uplink" // the TUN in a site's or its carrier's namespace; the relay makes it
	card   = "eth0"   // in a node's namespace
)

// makeSite makes a site's namespace: a router between its bridge and its uplink.
func makeSite(s place) error {
	err := makeNetNS(s.NetNS, func() error {
		if err := router(); err != nil {
			return fmt.Errorf("site %s: %w", s.Name, err)
		}
		if s.Name == outsideName {
			return nil // a single host: no LAN
		}
		lan := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
		if err := netlink.LinkAdd(lan); err != nil {
			return fmt.Errorf("adding bridge of site %s: %w", s.Name, err)
		}
		return assign(bridge, netip.PrefixFrom(s.Router, s.LAN.Bits()))
	})
	if err != nil {
		return err
	}
	return translate(s)
}

// router has the namespace of the calling thread forward packets of IPv4.
func router() error {
	for _, set := range [][2]string{
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv6/conf/all/disable_ipv6", "1"},
		{"net/ipv6/conf/default/disable_ipv6", "1"},
	} {
		// The sysctls that a thread sees are those of its namespace.
		if err := os.WriteFile("/proc/sys/"+set[0], []byte(set[1]), 0); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("setting %s: %w", set[0], err)
		}
	}
	return up("lo")
}

// makeNode makes a node's namespace and plugs it into its site's bridge. Both
// ends of the wire are born where they stay: the host never has one.
func makeNode(n node, s place) error {
	err := makeNetNS(n.NetNS, func() error { return up("lo") })
	if err != nil {
		return err
	}
	inside, err := netns.GetFromPath(netnsPath(n.NetNS))
	if err != nil {
		return fmt.Errorf("opening namespace %s: %w", n.NetNS, err)
	}
	defer inside.Close()
	err = within(s.NetNS, func() error {
		lan, err := netlink.LinkByName(bridge)
		if err != nil {
			return fmt.Errorf("finding bridge: %w", err)
		}
		wire := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: n.Port, MasterIndex: lan.Attrs().Index},
			PeerName:  card, PeerNamespace: netlink.NsFd(inside),
		}
		if err := netlink.LinkAdd(wire); err != nil {
			return fmt.Errorf("adding wire: %w", err)
		}
		return up(n.Port)
	})
	if err != nil {
		return fmt.Errorf("plugging %s into site %s: %w", n.Name, s.Name, err)
	}
	return within(n.NetNS, func() error {
		if err := assign(card, netip.PrefixFrom(n.Address, s.LAN.Bits())); err != nil {
			return err
		}
		// Everything goes to the site's router, which knows the fabric and
		// answers "unreachable" for the rest of the world.
		return route(netip.MustParsePrefix("0.0.0.0/0"), card, s.Router)
	})
}

// connect configures a site's end of its uplink, once the relay has made it.
func connect(s place) error {
	return within(s.Edge, func() error {
		link, err := netlink.LinkByName(uplink)
		if err == nil {
			err = netlink.LinkSetTxQLen(link, uplinkQueue)
		}
		if err != nil {
			return fmt.Errorf("sizing queue of %s: %w", uplink, err)
		}
		address := netip.PrefixFrom(s.Gateway, 32)
		if err := assign(uplink, address); err != nil {
			return err
		}
		return route(fabric, uplink, netip.Addr{})
	})
}

// overrun counts the packets that a site's uplink had no room for.
func overrun(s place) (dropped uint64) {
	within(s.Edge, func() error {
		link, err := netlink.LinkByName(uplink)
		if err == nil && link.Attrs().Statistics != nil {
			dropped = link.Attrs().Statistics.TxDropped
		}
		return err
	})
	return dropped
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("setting up %s: %w", name, err)
	}
	return nil
}

func assign(name string, p netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(p)})
	}
	if err != nil {
		return fmt.Errorf("assigning %s to %s: %w", p, name, err)
	}
	return up(name)
}

// route sends dst out of a device, by way of gateway if that is valid.
func route(dst netip.Prefix, device string, gateway netip.Addr) error {
	link, err := netlink.LinkByName(device)
	if err == nil {
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(dst)}
		if gateway.IsValid() {
			r.Gw = gateway.AsSlice()
		} else {
			r.Scope = netlink.SCOPE_LINK
		}
		err = netlink.RouteReplace(r)
	}
	if err != nil {
		return fmt.Errorf("routing %s to %s: %w", dst, device, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
