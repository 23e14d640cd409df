// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"encoding/binary"
	"fmt"
	stdnet "net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"croft/lease"
)

// timeouts of connection entries in the node's namespace, in seconds. They are
// there once the rules are. Where an RFC names a least time for a flow that is in
// use, it is kept (RFC 5382 REQ-5, RFC 4787 REQ-5): an entry that is opening,
// closing or was never answered goes sooner than the kernel's own time, so that
// the table holds flows, not attempts. TCP's last two states are as short as can
// be, as no ceiling counts them (see paceRule).
var timeouts = []setting{
	{"netfilter/nf_conntrack_tcp_timeout_established", tcpEstablished}, // not five days
	{"netfilter/nf_conntrack_tcp_timeout_syn_sent", "30"},              // longer than the wait between the first tries
	{"netfilter/nf_conntrack_tcp_timeout_syn_recv", "10"},
	{"netfilter/nf_conntrack_tcp_timeout_fin_wait", "60"},
	{"netfilter/nf_conntrack_tcp_timeout_close_wait", "60"},
	{"netfilter/nf_conntrack_tcp_timeout_last_ack", "10"},
	{"netfilter/nf_conntrack_tcp_timeout_time_wait", "1"},
	{"netfilter/nf_conntrack_tcp_timeout_close", "1"},
	{"netfilter/nf_conntrack_tcp_timeout_max_retrans", "120"},
	{"netfilter/nf_conntrack_tcp_timeout_unacknowledged", "120"},
	{"netfilter/nf_conntrack_udp_timeout", "15"},
	{"netfilter/nf_conntrack_udp_timeout_stream", udpStream},
	{"netfilter/nf_conntrack_icmp_timeout", "10"},
	{"netfilter/nf_conntrack_icmpv6_timeout", "10"},
}

const (
	tcpEstablished = "7440"
	udpStream      = "120"
)

// hostTimeouts are the same for what slivers leave in the host's table, whose own
// times are the host's business. nft has none for ICMP, whose entries stay for
// the host's time, half a minute as a rule.
//
// What comes to a public port is here before it is anywhere else, and before a
// ceiling: a TCP flow that its sliver has not answered in three seconds goes.
var hostTimeouts = []struct {
	proto, policy, inward string
	unanswered            uint64 // seconds that a flow inward is kept without an answer
}{
	{"tcp", "syn_sent : 30, " + tcpRest, "syn_sent : 3, " + tcpRest, 3},
	{"udp", "unreplied : 15, replied : " + udpStream, "unreplied : 15, replied : " + udpStream, 15},
}

const tcpRest = "syn_recv : 10, established : " + tcpEstablished + ", fin_wait : 60, close_wait : 60, last_ack : 10, time_wait : 1, close : 1"

// A flow is a connection entry's ends: who opened it, and who answers.
type flow struct {
	from, answers netip.Addr
}

// eachFlow shows the entries of the node's namespace.
func (n *Network) eachFlow(see func(flow), families ...netlink.InetFamily) error {
	for _, family := range families {
		list, err := again(func() ([]*netlink.ConntrackFlow, error) {
			return n.node.ConntrackTableList(netlink.ConntrackTable, family)
		})
		if err != nil {
			return fmt.Errorf("reading connections: %w", err)
		}
		for _, f := range list {
			see(flow{addrOf(f.Forward.SrcIP), addrOf(f.Reverse.SrcIP)})
		}
	}
	return nil
}

func addrOf(ip stdnet.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// placeOfAddr is the place that an address of either family belongs to.
func (p plan) placeOfAddr(a netip.Addr) (int, bool) {
	if a.Is4() {
		return p.placeAt(a)
	}
	if !a.Is6() {
		return 0, false
	}
	b := a.As16()
	place := int(binary.BigEndian.Uint16(b[14:])) - firstHost
	return place, place >= 0 && place < p.places && p.sliver6(place) == a
}

// left matches what is in the host's table of the flows that left by a block of
// source ports.
type left struct {
	plan  plan
	first uint16
	last  uint16
}

func (l left) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	a := addrOf(f.Forward.SrcIP)
	return (a == l.plan.node4() || a == l.plan.node6()) && f.Forward.SrcPort >= l.first && f.Forward.SrcPort <= l.last
}

// entered matches, in the host's table and in the node's, what came in by public
// ports.
type entered struct {
	plan  plan
	ports [][]byte // as portKey has them
}

func (e entered) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	has := func(t netlink.IPTuple, ip stdnet.IP, port uint16) bool {
		a := addrOf(ip)
		key := portKey(lease.Port{Proto: lease.Proto(t.Protocol), Number: port})
		return (a == e.plan.node4() || a == e.plan.node6()) &&
			slices.ContainsFunc(e.ports, func(k []byte) bool { return string(k) == string(key) })
	}
	return has(f.Reverse, f.Reverse.SrcIP, f.Reverse.SrcPort) || has(f.Forward, f.Forward.DstIP, f.Forward.DstPort)
}

// end deletes the matching entries of both families.
func end(h *netlink.Handle, m netlink.CustomConntrackFilter) error {
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		_, err := again(func() (uint, error) { return h.ConntrackDeleteFilters(netlink.ConntrackTable, family, m) })
		if err != nil {
			return fmt.Errorf("ending connections: %w", err)
		}
	}
	return nil
}

// Counters returns what is counted of each sliver, by place. The kernel's table
// is read from end to end for it: who asks often gets the same answer for a while.
func (n *Network) Counters(ctx context.Context) ([]Counters, error) {
	return n.counted.get(ctx, n.counters)
}

func (n *Network) counters(ctx context.Context) ([]Counters, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	ports, err := n.sliverPorts()
	if err != nil {
		return nil, err
	}
	all := map[int]*Counters{}
	for _, p := range ports {
		if p.name != "" {
			all[p.place] = &Counters{Place: p.place, Sliver: p.name, Limit: n.live[p.place]}
		}
	}
	if err := n.count(all); err != nil {
		return nil, err
	}
	for _, q := range n.names.counts() {
		if c := all[q.Place]; c != nil {
			c.Questions = q
		}
	}
	out := make([]Counters, 0, len(all))
	for _, c := range all {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Counters) int { return a.Place - b.Place })
	return out, nil
}
