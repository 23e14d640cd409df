// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

func TestMappings(t *testing.T) {
	for name, c := range map[string]struct {
		words string // "observer seen", from port 4001 of 10.0.0.2; own addresses are 10.0.0.2 and 192.0.2.9
		want  Mapping
	}{
		"nobody":                     {"", MappingUnknown},
		"one":                        {"a 198.51.100.1:4001", MappingUnknown},
		"the same from two":          {"a 198.51.100.1:4001, b 198.51.100.1:4001", MappingStable},
		"another port, but the same": {"a 198.51.100.1:1025, b 198.51.100.1:1025", MappingStable},
		"a port each":                {"a 198.51.100.1:1025, b 198.51.100.1:1026", MappingVaries},
		"one observer twice":         {"a 198.51.100.1:1025, a 198.51.100.1:1026", MappingUnknown},
		"one liar among four":        {"a 198.51.100.1:1, b 198.51.100.1:1, c 198.51.100.1:1, d 203.0.113.1:9", MappingStable},
		"the own address":            {"a 192.0.2.9:4001, b 192.0.2.9:4001", MappingNone},
		"one of each family":         {"a 198.51.100.1:4001, b [2001:db8::1]:4001", MappingUnknown},
		"two of each family":         {"a 198.51.100.1:7, b [2001:db8::1]:8, c 198.51.100.1:7, d [2001:db8::1]:8", MappingStable},
	} {
		var s sightings
		for word := range strings.SplitSeq(c.words, ", ") {
			var by, seen string
			if n, _ := fmt.Sscan(word, &by, &seen); n < 2 {
				continue
			}
			at := netip.MustParseAddrPort(seen)
			s.add(sighting{by: netip.AddrFrom4([4]byte{203, 0, 113, by[0]}), from: netip.MustParseAddrPort("10.0.0.2:4001"),
				seen: at, own: at.Addr().String() == "192.0.2.9"})
		}
		if got := s.mapping(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	var s sightings
	for i := range 2 * maxObservers {
		s.add(sighting{by: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})})
	}
	if len(s) != maxObservers || s[0].by.As4()[3] != maxObservers {
		t.Errorf("%d are kept, from %s on", len(s), s[0].by)
	}
}

// What a laboratory routes counts as public, and nothing beside it does.
func TestRangesCutOut(t *testing.T) {
	_, benchmark, _ := net.ParseCIDR("198.18.0.0/15")
	_, other, _ := net.ParseCIDR("203.0.113.0/24")
	left := without([]*net.IPNet{benchmark, other}, netip.MustParsePrefix("198.18.64.0/18"))
	if got := fmt.Sprint(left); got != "[198.19.0.0/16 198.18.128.0/17 198.18.0.0/18 203.0.113.0/24]" {
		t.Errorf("left are %s", got)
	}
	if got := without(left, netip.MustParsePrefix("203.0.113.0/24")); len(got) != 3 {
		t.Errorf("left are %s", got)
	}

	before := manet.Unroutable4
	defer func() { manet.Unroutable4 = before }()
	inside, beside := ma.StringCast("/ip4/198.18.1.11/tcp/4001"), ma.StringCast("/ip4/198.19.0.17/tcp/4001")
	if manet.IsPublicAddr(inside) {
		t.Fatal("public without being told")
	}
	for range 2 {
		countAsPublic([]netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")})
		if !manet.IsPublicAddr(inside) || manet.IsPublicAddr(beside) {
			t.Errorf("inside %v, beside %v", manet.IsPublicAddr(inside), manet.IsPublicAddr(beside))
		}
	}
}
