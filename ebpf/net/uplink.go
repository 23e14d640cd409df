// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
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
	for i := range uplinks {
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
	if err := n.allow6(uplinkNS); err != nil {
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

// allow6 has an interface of the node's namespace know IPv6, also one that was made
// while the host had none.
func (n *Network) allow6(dev string) error {
	if !n.v6 {
		return nil
	}
	return set(n.space, conf6(dev, "disable_ipv6", "0"))
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
