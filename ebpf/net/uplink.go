// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// claim refuses a namespace that another host's uplink ends in, and settles
// the uplink's addresses.
func (n *Network) claim() error {
	hostEnd, err := n.out.LinkByName(n.plan.uplinkName())
	if err != nil && !notFound(err) {
		return err
	}
	_, nodeErr := n.node.LinkByName(uplinkNS)
	if nodeErr != nil && !notFound(nodeErr) {
		return nodeErr
	}
	switch {
	case err == nil && nodeErr != nil:
		return fmt.Errorf("interface %s of the host: %w", n.plan.uplinkName(), ErrTaken)
	case err != nil && nodeErr == nil:
		return fmt.Errorf("namespace %s has its uplink in another host: %w", n.plan.namespace(), ErrTaken)
	}
	if n.cfg.Uplink4.IsValid() {
		return nil
	}
	addrs, err := again(func() ([]netlink.Addr, error) { return n.out.AddrList(nil, unix.AF_INET) })
	if err != nil {
		return fmt.Errorf("listing the host's addresses: %w", err)
	}
	var used []netip.Prefix
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP.To4())
		if !ok {
			continue
		}
		ones, _ := a.Mask.Size()
		pre := netip.PrefixFrom(ip, ones).Masked()
		if hostEnd != nil && a.LinkIndex == hostEnd.Attrs().Index && ones == 31 {
			n.plan.uplink = pre
			return nil
		}
		used = append(used, pre)
	}
	for i := range 1 << 15 {
		c := uplinkCandidate(n.plan.tag, i)
		if !slices.ContainsFunc(used, c.Overlaps) {
			n.plan.uplink = c
			return nil
		}
	}
	return fmt.Errorf("no /31 of %s is free: %w", uplinkPool, ErrTaken)
}

// makeUplink ties the two namespaces together. Neighbours are static: nothing
// on this link needs to be asked for, and the host hears no NDP from slivers.
func (n *Network) makeUplink() error {
	name := n.plan.uplinkName()
	near, err := n.out.LinkByName(name)
	if notFound(err) {
		mac, peer := n.plan.macUplink(0), n.plan.macUplink(1)
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, TxQLen: 1000, HardwareAddr: mac[:]},
			PeerName:  uplinkNS, PeerMTU: mtu, PeerHardwareAddr: peer[:], PeerNamespace: netlink.NsFd(int(n.space)),
		}
		if err := missing(n.out.LinkAdd(veth), "kernel: veth", "slivers have no network"); err != nil {
			return err
		}
		near, err = n.out.LinkByName(name)
	}
	if err != nil {
		return err
	}
	far, err := n.node.LinkByName(uplinkNS)
	if err != nil {
		return err
	}
	if near.Attrs().Alias == "" {
		alias, _ := formatNotes(nil)
		if err := n.out.LinkSetAlias(near, alias); err != nil {
			return err
		}
	}
	if err := set(n.host,
		conf4(name, "rp_filter", "1"), conf4(name, "send_redirects", "0"), conf4(name, "accept_redirects", "0"),
		conf6(name, "accept_ra", "0"), conf6(name, "accept_dad", "0"), conf6(name, "addr_gen_mode", "1"),
		conf6(name, "accept_redirects", "0")); err != nil {
		return err
	}
	macs := [2][6]byte{n.plan.macUplink(0), n.plan.macUplink(1)}
	ends := []struct {
		h             *netlink.Handle
		link          netlink.Link
		self, other   netip.Addr
		self6, other6 netip.Addr
		mac           [6]byte
	}{
		{n.out, near, n.plan.host4(), n.plan.node4(), n.plan.host6(), n.plan.node6(), macs[1]},
		{n.node, far, n.plan.node4(), n.plan.host4(), n.plan.node6(), n.plan.host6(), macs[0]},
	}
	for _, e := range ends {
		if err := e.h.AddrReplace(e.link, &netlink.Addr{IPNet: ipNet(e.self, 31)}); err != nil {
			return fmt.Errorf("addressing uplink: %w", err)
		}
		if n.v6 {
			if err := e.h.AddrReplace(e.link, &netlink.Addr{IPNet: ipNet(e.self6, 126), Flags: unix.IFA_F_NODAD}); err != nil {
				return fmt.Errorf("addressing uplink: %w", err)
			}
		}
		if err := e.h.LinkSetUp(e.link); err != nil {
			return err
		}
		if err := neighbour(e.h, e.link, e.other, e.mac); err != nil {
			return err
		}
		if n.v6 {
			if err := neighbour(e.h, e.link, e.other6, e.mac); err != nil {
				return err
			}
		}
	}
	if err := route(n.node, far, everywhere4, n.plan.host4()); err != nil {
		return err
	}
	if n.v6 {
		return route(n.node, far, everywhere6, n.plan.host6())
	}
	return nil
}

// outside is how the host reaches the world.
type outside struct {
	devs4, devs6 []string
	v6           bool
}

func (n *Network) outside() (outside, error) {
	var o outside
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := again(func() ([]netlink.Route, error) { return n.out.RouteList(nil, family) })
		if err != nil {
			return o, fmt.Errorf("listing the host's routes: %w", err)
		}
		var devs []string
		for _, r := range routes {
			if !isDefault(r) || r.Type != unix.RTN_UNICAST {
				continue
			}
			hops := []int{r.LinkIndex}
			for _, hop := range r.MultiPath {
				hops = append(hops, hop.LinkIndex)
			}
			for _, index := range hops {
				link, err := n.out.LinkByIndex(index)
				if err != nil || strings.HasPrefix(link.Attrs().Name, uplinkDev) || link.Attrs().Name == "lo" {
					continue
				}
				devs = union(devs, []string{link.Attrs().Name})
			}
		}
		if family == unix.AF_INET {
			o.devs4 = union(devs, n.cfg.Outside)
		} else {
			o.devs6 = devs
		}
	}
	if len(o.devs4) == 0 {
		n.log.Warn("the host has no IPv4 default route: slivers reach nothing over IPv4", "node", n.plan.tag)
	}
	if len(o.devs6) == 0 {
		n.log.Info("the host has no IPv6 default route: slivers get no IPv6", "node", n.plan.tag)
		return o, nil
	}
	o.devs6 = union(o.devs6, n.cfg.Outside)
	return o, within(n.host, func() error {
		_, single := conf6("all", "force_forwarding", "").read()
		whole, _ := conf6("all", "forwarding", "").read()
		switch {
		case single == nil:
			o.v6 = true
		case whole == "1":
			o.v6, o.devs6 = true, nil // it forwards everywhere already
		default:
			n.log.Info("this kernel forwards IPv6 on all interfaces or none (before Linux 6.17), and on this host on none: slivers get no IPv6", "node", n.plan.tag)
		}
		return nil
	})
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

// openHost switches forwarding on where it is needed. What was off is noted
// first, in the alias and in the set that keeps the host from routing for
// others.
func (n *Network) openHost(o outside) error {
	up, err := n.out.LinkByName(n.plan.uplinkName())
	if err != nil {
		return err
	}
	var wanted []string
	for _, dev := range o.devs4 {
		wanted = append(wanted, "4/"+dev)
	}
	if o.v6 {
		for _, dev := range o.devs6 {
			wanted = append(wanted, "6/"+dev)
		}
	}
	var off []string
	if err := within(n.host, func() (err error) {
		off, err = switchesOff(wanted)
		return err
	}); err != nil {
		return err
	}
	notes := union(parseNotes(up.Attrs().Alias), off)
	if err := n.note(up, notes); err != nil {
		return err
	}
	own := []setting{conf4(up.Attrs().Name, "forwarding", "1")}
	if o.v6 {
		own = append(own, conf6(up.Attrs().Name, "force_forwarding", "1"))
	}
	for _, note := range wanted {
		s, _, err := forwardSetting(note)
		if err != nil {
			return err
		}
		own = append(own, s)
	}
	if err := n.fault("switches"); err != nil {
		return err
	}
	return within(n.host, func() error {
		for _, s := range own {
			err := s.write()
			if err != nil && strings.HasSuffix(s.path, "/force_forwarding") && o.devs6 == nil {
				continue // an older kernel that forwards everywhere
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (n *Network) note(up netlink.Link, notes []string) error {
	return writeNotes(n.out, n.host, up, notes)
}

// writeNotes makes notes the uplink's: in the table first, as the alias is what
// Destroy goes by.
func writeNotes(h *netlink.Handle, host netns.NsHandle, up netlink.Link, notes []string) error {
	alias, err := formatNotes(notes)
	if err != nil {
		return err
	}
	if err := h.LinkSetAlias(up, alias); err != nil {
		return fmt.Errorf("noting forwarding: %w", err)
	}
	if len(notes) == 0 {
		return nil
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(host)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	var add []nftables.SetElement
	var seen []string
	for _, note := range notes {
		_, dev, err := forwardSetting(note)
		if err != nil {
			return err
		}
		if !slices.Contains(seen, dev) {
			seen = append(seen, dev)
			add = append(add, nftables.SetElement{Key: ifname(dev)})
		}
	}
	table := "croft-" + strings.TrimPrefix(up.Attrs().Name, uplinkDev)
	return change(c, openedSet(&nftables.Table{Name: table, Family: nftables.TableFamilyINet}), add, nil)
}

// republish makes the host's set of ports say what the node's maps say.
func (n *Network) republish() error {
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	have, err := elements(c, forwardMap(&nftables.Table{Name: n.plan.table(), Family: nftables.TableFamilyINet}, false))
	if err != nil {
		return err
	}
	h, err := nftables.New(nftables.WithNetNSFd(int(n.host)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	s := portSet(&nftables.Table{Name: n.plan.table(), Family: nftables.TableFamilyINet})
	var add []nftables.SetElement
	for _, e := range have {
		add = append(add, nftables.SetElement{Key: e.Key})
	}
	h.FlushSet(s)
	return change(h, s, add, nil)
}

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
