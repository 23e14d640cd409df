// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"fmt"
	"net/netip"
	"slices"
)

// A ClosedRange is a destination that no sliver reaches unless its node opens it.
type ClosedRange struct {
	Prefix netip.Prefix
	Why    string
}

// closed4 follows the IANA special-purpose registry (RFC 6890 and updates),
// and one metadata address that lies outside of it.
var closed4 = []ClosedRange{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "metadata"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, metadata"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments, metadata"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved, broadcast"},
}

var closed6 = []ClosedRange{
	{netip.MustParsePrefix("::/96"), "loopback, unspecified, IPv4-compatible"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local-use NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard"},
	{netip.MustParsePrefix("2001::/32"), "Teredo"}, // hides IPv4 under xor: no prefix tells which
	{netip.MustParsePrefix("2001:2::/48"), "benchmark"},
	{netip.MustParsePrefix("2001:10::/28"), "ORCHID"},
	{netip.MustParsePrefix("2001:20::/28"), "ORCHIDv2"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// ClosedRanges returns what is closed by default: IPv4 first, then IPv6, then
// the closed IPv4 ranges as NAT64 (RFC 6052) and 6to4 (RFC 3056) embed them.
func ClosedRanges() []ClosedRange {
	all := slices.Concat(closed4, closed6)
	for _, r := range closed4 {
		v4, bits := r.Prefix.Addr().As4(), r.Prefix.Bits()
		nat64 := [16]byte{0x00, 0x64, 0xff, 0x9b, 12: v4[0], v4[1], v4[2], v4[3]}
		sixToFour := [16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3]}
		all = append(all,
			ClosedRange{netip.PrefixFrom(netip.AddrFrom16(nat64), 96+bits), r.Why + " in NAT64"},
			ClosedRange{netip.PrefixFrom(netip.AddrFrom16(sixToFour), 16+bits), r.Why + " in 6to4"})
	}
	return all
}

// Verdict is what a rule says of a destination. The numbers are the kernel's.
type Verdict uint32

const (
	Open    Verdict = 0
	Shut    Verdict = 1
	OpenDNS Verdict = 2 // only UDP and TCP to port 53
)

// Rule is a line of a table in which the longest prefix decides; what no rule
// covers is open.
type Rule struct {
	Prefix  netip.Prefix
	Verdict Verdict
}

// Rules is such a table, sorted by prefix, each prefix once.
type Rules []Rule

// NewRules closes [ClosedRanges] and more (the node's own addresses), but not
// what is in opened; at each of the resolvers, DNS is open. Opened wins over
// every closed range that it lies in, covers or equals.
func NewRules(opened, more []netip.Prefix, resolvers []netip.Addr) (Rules, error) {
	byPrefix := map[netip.Prefix]Verdict{}
	put := func(p netip.Prefix, v Verdict) error {
		if !p.IsValid() || p.Addr().Is4In6() && v != Shut || p.Addr().Zone() != "" {
			return fmt.Errorf("range %s: %w", p, ErrField)
		}
		byPrefix[p.Masked()] = v
		return nil
	}
	covered := func(p netip.Prefix) bool {
		return slices.ContainsFunc(opened, func(o netip.Prefix) bool {
			return o.Addr().BitLen() == p.Addr().BitLen() && o.Bits() <= p.Bits() && o.Contains(p.Addr())
		})
	}
	closed := more
	for _, r := range ClosedRanges() {
		closed = append(closed[:len(closed):len(closed)], r.Prefix)
	}
	for _, p := range closed {
		if covered(p) {
			continue
		}
		if err := put(p, Shut); err != nil {
			return nil, err
		}
	}
	for _, p := range opened {
		if err := put(p, Open); err != nil {
			return nil, err
		}
	}
	for _, a := range resolvers {
		if p := netip.PrefixFrom(a, a.BitLen()); !covered(p) {
			if err := put(p, OpenDNS); err != nil {
				return nil, err
			}
		}
	}
	rules := make(Rules, 0, len(byPrefix))
	for p, v := range byPrefix {
		rules = append(rules, Rule{p, v})
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%d closed and opened ranges, limit %d: %w", len(rules), MaxRules, ErrField)
	}
	return rules, nil
}

// Allow reports whether a packet of proto may go to dst.
func (rs Rules) Allow(proto uint8, dst netip.AddrPort) bool {
	best := Rule{Verdict: Open}
	for _, r := range rs {
		if r.Prefix.Contains(dst.Addr()) && (!best.Prefix.IsValid() || r.Prefix.Bits() > best.Prefix.Bits()) {
			best = r
		}
	}
	const tcp, udp, domain = 6, 17, 53
	switch best.Verdict {
	case Open:
		return true
	case OpenDNS:
		return (proto == tcp || proto == udp) && dst.Port() == domain
	}
	return false
}
