// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"net/netip"
	"strings"
)

// Names of what changes in the tables while they stand; all else is rendered
// once, because the address plan is known beforehand.
const (
	forwards4 = "forwards4" // node: protocol, port -> sliver's address, port
	forwards6 = "forwards6"
	ports     = "ports"  // host: protocol, port that go on to the node's namespace
	doors     = "doors"  // host: public ports, and how fast flows to each begin
	opened    = "opened" // host: interfaces whose forwarding we switched on
)

// nodeRules renders the table of the node's namespace. Running it again
// replaces every rule in one step and keeps the maps.
//
// Conntrack zones are directional: a sliver's own packets are looked up in its
// zone, what comes back in zone 0, where its block of ports makes it unique.
// (This is also why the text goes through nft: the netlink library has no
// direction for zones.) What is asked of the resolver makes no entry, so that
// nobody fills the table with questions. What conntrack calls invalid would
// leave without translation, under whatever port the sliver wrote into it.
func nodeRules(p plan, v6 bool) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	var zones, sources4, sources6 []string
	for place := range p.places {
		dev := p.hostEnd(place)
		zones = append(zones, fmt.Sprintf("%q : %d", dev, p.zone(place)))
		sources4 = append(sources4, fmt.Sprintf("%q . %s", dev, p.sliver4(place)))
		sources6 = append(sources6, fmt.Sprintf("%q . %s", dev, p.sliver6(place)))
	}
	list := func(l []string) string { return "{ " + strings.Join(l, ", ") + " }" }

	w("table inet %s {", p.table())
	w("	map %s { type inet_proto . inet_service : ipv4_addr . inet_service; }", forwards4)
	w("	map %s { type inet_proto . inet_service : ipv6_addr . inet_service; }", forwards6)
	for _, c := range []struct{ name, hook string }{
		{"early", "type filter hook prerouting priority raw; policy accept"},
		{"answers", "type filter hook output priority raw; policy accept"},
		{"into", "type nat hook prerouting priority dstnat; policy accept"},
		{"across", "type filter hook forward priority filter; policy drop"},
		{"here", "type filter hook input priority filter; policy drop"},
	} {
		w("	chain %s { %s; }", c.name, c.hook)
	}
	w("}")
	w("flush table inet %s", p.table())
	w("table inet %s {", p.table())

	w("	chain early {")
	w("		iifname \"%s*\" iifname . ip saddr != %s drop", hostDev, list(sources4))
	if v6 {
		w("		iifname \"%s*\" iifname . ip6 saddr != %s drop", hostDev, list(sources6))
	} else {
		w("		meta nfproto ipv6 drop")
	}
	w("		iifname \"%s*\" ip daddr %s meta l4proto { tcp, udp } th dport 53 notrack accept", hostDev, Resolver)
	w("		ct original zone set iifname map %s", list(zones))
	w("	}")

	w("	chain answers {")
	w("		oifname \"%s*\" ip saddr %s meta l4proto { tcp, udp } th sport 53 notrack", hostDev, Resolver)
	w("	}")

	w("	chain into {")
	w("		iifname %q meta nfproto ipv4 dnat ip to meta l4proto . th dport map @%s", uplinkNS, forwards4)
	if v6 {
		w("		iifname %q meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @%s", uplinkNS, forwards6)
	}
	w("	}")

	w("	chain across {")
	w("		ct state invalid drop")
	w("		ct state established,related accept")
	w("		ip daddr %s drop", p.uplink)
	w("		ip6 daddr %s drop", netip.PrefixFrom(p.host6(), 126).Masked())
	w("		iifname \"%s*\" oifname %q meta l4proto { tcp, udp, icmp, ipv6-icmp } accept", hostDev, uplinkNS)
	w("		iifname %q oifname \"%s*\" ct status dnat accept", uplinkNS, hostDev)
	w("	}")

	w("	chain here {")
	w("		iifname \"lo\" accept")
	w("		ct state established,related accept")
	w("		iifname \"%s*\" ip daddr %s meta l4proto { tcp, udp } th dport 53 accept", hostDev, Resolver)
	w("	}")

	w("}")
	return b.String()
}

// hostRules renders the one table that the host gets. Its rules, all bound to
// the uplink but the last:
//
//  1. and 2. masquerade what comes from the uplink, with the source port (or
//     ICMP id) that the block gave it or not at all: where the host holds that
//     very flow already, the kernel drops the packet, since another port would
//     name another sliver.
//  3. leased public ports go to the node's namespace (one rule a family);
//  4. slivers reach none of the host's own addresses, whatever these are;
//  5. an interface whose forwarding was off before forwards to uplinks only, so
//     that the host did not become a router;
//  6. nothing comes from the uplink but from the node's own address (one rule a
//     family): what the namespace did not translate has no block's port;
//  7. what slivers leave in the host's table of connections has the time-outs of
//     the node's namespace, not the host's five days (one rule for each protocol
//     and family);
//  8. flows to public ports begin no faster than the host's table has room for
//     until the node's namespace, where the ceilings are, has let them in: two
//     rules for each protocol, one for each port and one for all.
func hostRules(p plan, v6 bool, entries uint64) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("table inet %s {", p.table())
	w("	set %s { type inet_proto . inet_service; }", ports)
	w("	set %s { type ifname; }", opened)
	for _, t := range hostTimeouts {
		w("	set %s-%s { type inet_service; size 65535; flags dynamic; }", doors, t.proto)
	}
	families := []string{"ip"}
	if v6 {
		families = append(families, "ip6")
	}
	for _, family := range families {
		for _, t := range hostTimeouts {
			w("	ct timeout %s-%s {", t.proto, family)
			w("		protocol %s;", t.proto)
			w("		l3proto %s;", family)
			w("		policy = { %s }", t.policy)
			w("	}")
			w("	ct timeout %s-in-%s {", t.proto, family)
			w("		protocol %s;", t.proto)
			w("		l3proto %s;", family)
			w("		policy = { %s }", t.inward)
			w("	}")
		}
	}
	for _, c := range []struct{ name, hook string }{
		{"into", "type nat hook prerouting priority dstnat; policy accept"},
		{"across", "type filter hook forward priority filter; policy accept"},
		{"here", "type filter hook input priority filter; policy accept"},
		{"out", "type nat hook postrouting priority srcnat; policy accept"},
	} {
		w("	chain %s { %s; }", c.name, c.hook)
	}
	w("}")
	w("flush table inet %s", p.table())
	w("table inet %s {", p.table())
	w("	chain out {")
	w("		iifname %q meta l4proto { tcp, udp } masquerade to :th sport", p.uplinkName())
	w("		iifname %q meta l4proto { icmp, ipv6-icmp } masquerade to :@th,32,16", p.uplinkName())
	w("	}")
	w("	chain into {")
	w("		meta nfproto ipv4 meta l4proto . th dport @%s fib daddr type local dnat ip to %s", ports, p.node4())
	if v6 {
		w("		meta nfproto ipv6 meta l4proto . th dport @%s fib daddr type local dnat ip6 to %s", ports, p.node6())
	}
	w("	}")
	w("	chain here {")
	w("		iifname %q ct state new,invalid,untracked drop", p.uplinkName())
	w("	}")
	w("	chain across {")
	w("		iifname @%s oifname != \"%s*\" drop", opened, uplinkDev)
	w("		iifname %q ip saddr != %s drop", p.uplinkName(), p.node4())
	if v6 {
		w("		iifname %q ip6 saddr != %s drop", p.uplinkName(), p.node6())
	}
	for _, t := range hostTimeouts {
		begins := fmt.Sprintf("oifname %q ct status & confirmed == 0 meta l4proto %s", p.uplinkName(), t.proto)
		all := max(entries/unansweredShare/t.unanswered, minLive)
		one := max(all/doorShare, minLive)
		w("		%s add @%s-%s { th dport limit rate over %d/second burst %d packets } counter drop", begins, doors, t.proto, one, one)
		w("		%s limit rate over %d/second burst %d packets counter drop", begins, all, all)
	}
	for _, way := range []string{"iifname", "oifname"} {
		inward := map[string]string{"oifname": "-in"}[way]
		for _, family := range families {
			nf := map[string]string{"ip": "ipv4", "ip6": "ipv6"}[family]
			for _, t := range hostTimeouts {
				w("		%s %q meta nfproto %s meta l4proto %s ct state new ct timeout set \"%s%s-%s\"", way, p.uplinkName(), nf, t.proto, t.proto, inward, family)
			}
		}
	}
	w("	}")
	w("}")
	return b.String()
}
