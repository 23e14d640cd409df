// SPDX-License-Identifier: Apache-2.0

package net

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// localZones are answered by no resolver of the world (RFC 6761, 6762, 7686,
// 8375 and ICANN's reservation of internal): what stands there is the site's.
var localZones = []string{"localhost.", "local.", "internal.", "home.arpa.", "onion.", "invalid.", "test."}

// verdict says with which code a question is answered right away; forward is
// dns.RcodeSuccess.
func verdict(q *dns.Msg, open func(netip.Addr) bool) int {
	if q.Response || len(q.Question) != 1 || len(q.Answer) > 0 || len(q.Ns) > 0 {
		return dns.RcodeFormatError
	}
	if q.Opcode != dns.OpcodeQuery {
		return dns.RcodeNotImplemented
	}
	ask := q.Question[0]
	if ask.Qclass != dns.ClassINET {
		return dns.RcodeRefused
	}
	switch ask.Qtype {
	case dns.TypeAXFR, dns.TypeIXFR, dns.TypeANY, dns.TypeMAILA, dns.TypeMAILB:
		return dns.RcodeRefused
	}
	name := strings.ToLower(ask.Name)
	for _, zone := range localZones {
		if dns.IsSubDomain(zone, name) {
			return dns.RcodeNameError
		}
	}
	if a, ok := reverse(name); ok && !open(a) {
		return dns.RcodeNameError
	}
	return dns.RcodeSuccess
}

// reverse is the address, or the first of the range, that a name in the reverse
// zones stands for.
func reverse(name string) (netip.Addr, bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) < 3 || labels[len(labels)-1] != "arpa" {
		return netip.Addr{}, false
	}
	family, labels := labels[len(labels)-2], labels[:len(labels)-2]
	slices.Reverse(labels)
	switch family {
	case "in-addr":
		var a [4]byte
		for i := range min(len(labels), len(a)) {
			b, err := strconv.ParseUint(labels[i], 10, 8)
			if err != nil {
				return netip.Addr{}, false
			}
			a[i] = byte(b)
		}
		return netip.AddrFrom4(a), true
	case "ip6":
		var a [16]byte
		for i := range min(len(labels), 2*len(a)) {
			b, err := strconv.ParseUint(labels[i], 16, 4)
			if err != nil {
				return netip.Addr{}, false
			}
			a[i/2] |= byte(b) << (4 * (1 - i%2))
		}
		return netip.AddrFrom16(a), true
	}
	return netip.Addr{}, false
}

// screen takes every record out of an answer that names a closed address, and
// returns how many these were. Signatures over what is left still hold: they
// cover a set, and a set with a closed address goes as a whole.
func screen(m *dns.Msg, open func(netip.Addr) bool) (dropped int) {
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		bad := map[string]bool{}
		for _, rr := range *section {
			if !slices.ContainsFunc(addresses(rr), func(a netip.Addr) bool { return !open(a) }) {
				continue
			}
			bad[setOf(rr)] = true
		}
		before := len(*section)
		*section = slices.DeleteFunc(*section, func(rr dns.RR) bool { return bad[setOf(rr)] })
		dropped += before - len(*section)
	}
	return dropped
}

// setOf names the record set that a record belongs to, or signs.
func setOf(rr dns.RR) string {
	kind := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		kind = sig.TypeCovered
	}
	return strings.ToLower(rr.Header().Name) + " " + strconv.Itoa(int(kind))
}

// addresses are those that a record hands to the asker.
func addresses(rr dns.RR) (all []netip.Addr) {
	add := func(ip []byte) {
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, a)
		}
	}
	hints := func(values []dns.SVCBKeyValue) {
		for _, v := range values {
			switch v := v.(type) {
			case *dns.SVCBIPv4Hint:
				for _, ip := range v.Hint {
					add(ip.To4())
				}
			case *dns.SVCBIPv6Hint:
				for _, ip := range v.Hint {
					add(ip.To16())
				}
			}
		}
	}
	switch rr := rr.(type) {
	case *dns.A:
		add(rr.A.To4())
	case *dns.AAAA:
		add(rr.AAAA.To16())
	case *dns.SVCB:
		hints(rr.Value)
	case *dns.HTTPS:
		hints(rr.Value)
	}
	return all
}
