// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"fmt"
	stdnet "net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// sliverMark starts the alias of a veth's host end; the sliver's name follows.
const sliverMark = "croft sliver: "

// sliverPort is a veth's host end in the node's namespace. A crash can leave one
// without a name.
type sliverPort struct {
	link  netlink.Link
	place int
	name  string
}

func (n *Network) sliverPorts() ([]sliverPort, error) {
	links, err := again(n.node.LinkList)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var all []sliverPort
	for _, l := range links {
		if place, ok := placeOf(l.Attrs().Name); ok && place < n.plan.places {
			name, _ := strings.CutPrefix(l.Attrs().Alias, sliverMark)
			all = append(all, sliverPort{l, place, name})
		}
	}
	return all, nil
}

func (n *Network) find(name string) (sliverPort, error) {
	all, err := n.sliverPorts()
	if err != nil {
		return sliverPort{}, err
	}
	for _, p := range all {
		if name != "" && p.name == name {
			return p, nil
		}
	}
	return sliverPort{}, ErrNoSliver
}

// veth finds or makes the pair. One whose inner end is not in space is made anew.
func (n *Network) veth(s Sliver, space netns.NsHandle, in *netlink.Handle) (netlink.Link, error) {
	name := n.plan.hostEnd(s.Place)
	link, err := n.node.LinkByName(name)
	if err != nil && !notFound(err) {
		return nil, err
	}
	if err == nil {
		whole, err := joined(link, in)
		if err != nil {
			return nil, err
		}
		if !whole {
			if err := n.dropLink(link); err != nil {
				return nil, err
			}
			link = nil
		}
	} else {
		link = nil
	}
	if link == nil {
		// Nobody's earlier flows lead to who comes now.
		if err := n.forget(s.Place); err != nil {
			return nil, err
		}
		host, peer := n.plan.macHost(s.Place), n.plan.macInside(s.Place)
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, TxQLen: 1000, HardwareAddr: host[:]},
			PeerName:  insideDev, PeerMTU: mtu, PeerHardwareAddr: peer[:], PeerNamespace: netlink.NsFd(int(space)),
		}
		if err := n.node.LinkAdd(veth); err != nil {
			return nil, fmt.Errorf("making veth: %w", err)
		}
		if link, err = n.node.LinkByName(name); err != nil {
			return nil, err
		}
	}
	if err := n.fault("veth without name"); err != nil {
		return nil, err
	}
	if link.Attrs().Alias != sliverMark+s.Name {
		if err := n.node.LinkSetAlias(link, sliverMark+s.Name); err != nil {
			return nil, fmt.Errorf("naming veth: %w", err)
		}
	}
	if err := n.allow6(name); err != nil {
		return nil, err
	}
	return link, nil
}

// joined reports whether link's other end is the sliver's interface.
func joined(link netlink.Link, in *netlink.Handle) (bool, error) {
	inner, err := in.LinkByName(insideDev)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return inner.Attrs().ParentIndex == link.Attrs().Index && link.Attrs().ParentIndex == inner.Attrs().Index, nil
}

// inside sets up the sliver's end: its addresses, the one neighbour that it has,
// and everything by way of it.
func (n *Network) inside(place int, space netns.NsHandle, in *netlink.Handle) error {
	lo, err := in.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := in.LinkSetUp(lo); err != nil {
		return err
	}
	eth, err := in.LinkByName(insideDev)
	if err != nil {
		return err
	}
	off := "1"
	if n.v6 {
		off = "0"
	}
	if err := set(space,
		conf6(insideDev, "addr_gen_mode", "1"), conf6(insideDev, "accept_ra", "0"),
		conf6(insideDev, "accept_dad", "0"), conf6(insideDev, "accept_redirects", "0"),
		conf6(insideDev, "disable_ipv6", off),
		conf4(insideDev, "accept_redirects", "0"),
		// A sliver has no capabilities, and its namespace to itself: every port
		// is its own, and it may ping.
		setting{"ipv4/ip_unprivileged_port_start", "0"},
		setting{"ipv4/ping_group_range", "0 2147483647"}); err != nil {
		return err
	}
	mac := n.plan.macInside(place)
	if eth.Attrs().HardwareAddr.String() != stdnet.HardwareAddr(mac[:]).String() {
		if err := in.LinkSetHardwareAddr(eth, mac[:]); err != nil {
			return fmt.Errorf("setting the sliver's MAC address: %w", err)
		}
	}
	if err := in.LinkSetUp(eth); err != nil {
		return err
	}
	if err := in.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(n.plan.sliver4(place), 32)}); err != nil {
		return fmt.Errorf("addressing sliver: %w", err)
	}
	if err := neighbour(in, eth, Resolver, n.plan.macHost(place)); err != nil {
		return err
	}
	if err := route(in, eth, everywhere4, Resolver); err != nil {
		return err
	}
	if !n.v6 {
		return nil
	}
	if err := in.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(n.plan.sliver6(place), 128), Flags: unix.IFA_F_NODAD}); err != nil {
		return fmt.Errorf("addressing sliver: %w", err)
	}
	if err := neighbour(in, eth, gateway6, n.plan.macHost(place)); err != nil {
		return err
	}
	return route(in, eth, everywhere6, gateway6)
}

// routes leads to the sliver, by a neighbour that is not asked for.
func (n *Network) routes(place int, link netlink.Link) error {
	to := []netip.Addr{n.plan.sliver4(place)}
	if n.v6 {
		to = append(to, n.plan.sliver6(place))
	}
	for _, a := range to {
		if err := neighbour(n.node, link, a, n.plan.macInside(place)); err != nil {
			return err
		}
		if err := route(n.node, link, netip.PrefixFrom(a, a.BitLen()), netip.Addr{}); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until both ends carry packets. The kernel starts the queues of a
// raised link a moment later, on a busy machine hundreds of milliseconds, and
// loses what is sent before.
func (n *Network) settle(ctx context.Context, p sliverPort) error {
	space, err := openNS(n.plan.sliverNS(p.place))
	if err != nil {
		return err
	}
	defer space.Close()
	in, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	for {
		near, err := n.node.LinkByIndex(p.link.Attrs().Index)
		if err != nil {
			return err
		}
		far, err := in.LinkByName(insideDev)
		if err != nil {
			return err
		}
		if near.Attrs().OperState == netlink.OperUp && far.Attrs().OperState == netlink.OperUp {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the link: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func isUp(link netlink.Link) bool { return link.Attrs().Flags&stdnet.FlagUp != 0 }

// flowsOf matches the connections of one address, either way.
type flowsOf netip.Addr

func (f flowsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	for _, ip := range []stdnet.IP{flow.Forward.SrcIP, flow.Reverse.SrcIP} {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == netip.Addr(f) {
			return true
		}
	}
	return false
}

// forget ends every connection of a place, in the node's namespace and what is
// left of it in the host's, and its ceiling.
func (n *Network) forget(place int) error {
	if err := n.release(place); err != nil {
		return err
	}
	block := n.plan.sourcePorts(place)
	if err := end(n.out, left{n.plan, block[0], block[1]}); err != nil {
		return err
	}
	for family, a := range map[netlink.InetFamily]netip.Addr{
		unix.AF_INET: n.plan.sliver4(place), unix.AF_INET6: n.plan.sliver6(place)} {
		_, err := again(func() (uint, error) {
			return n.node.ConntrackDeleteFilters(netlink.ConntrackTable, family, flowsOf(a))
		})
		if err != nil {
			return fmt.Errorf("ending connections of %s: %w", a, err)
		}
	}
	return nil
}
