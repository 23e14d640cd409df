// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"errors"
	"net/netip"
	"testing"
)

func TestClosedByDefault(t *testing.T) {
	rules, err := NewRules(nil, []netip.Prefix{netip.MustParsePrefix("198.41.0.4/32")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for dst, open := range map[string]bool{
		"8.8.8.8:443":                        true,
		"172.15.255.255:80":                  true,
		"172.32.0.0:80":                      true,
		"11.0.0.1:80":                        true,
		"0.0.0.0:80":                         false,
		"10.0.0.1:80":                        false,
		"100.64.0.1:80":                      false,
		"100.100.100.200:80":                 false, // metadata in shared space
		"127.0.0.1:80":                       false,
		"168.63.129.16:80":                   false,
		"169.254.169.254:80":                 false,
		"172.16.0.1:80":                      false,
		"172.31.255.255:80":                  false,
		"192.168.1.1:80":                     false,
		"198.18.0.1:80":                      false,
		"198.41.0.4:80":                      false, // the node's own
		"224.0.0.251:5353":                   false,
		"255.255.255.255:67":                 false,
		"[2606:4700::1111]:443":              true,
		"[::]:80":                            false,
		"[::1]:80":                           false,
		"[::ffff:8.8.8.8]:80":                false, // no such thing on the wire
		"[::10.0.0.1]:80":                    false,
		"[64:ff9b::8.8.8.8]:80":              true,
		"[64:ff9b::10.0.0.1]:80":             false,
		"[64:ff9b::169.254.169.254]:80":      false,
		"[64:ff9b:1::1]:80":                  false,
		"[2002:808:808::1]:80":               true,
		"[2002:a00:1::1]:80":                 false, // 10.0.0.1 in 6to4
		"[2002:a9fe:a9fe::1]:80":             false,
		"[2001:0:4136:e378:8000:63bf::1]:80": false,
		"[2001:db8::1]:80":                   false,
		"[fd00:ec2::254]:80":                 false,
		"[fe80::1]:80":                       false,
		"[fec0::1]:80":                       false,
		"[ff02::1]:80":                       false,
	} {
		if got := rules.Allow(6, netip.MustParseAddrPort(dst)); got != open {
			t.Errorf("%s: open %v, want %v", dst, got, open)
		}
	}
}

func TestOpenedWins(t *testing.T) {
	opened := []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16"), netip.MustParsePrefix("172.0.0.0/8"), netip.MustParsePrefix("fd00:77::/32")}
	rules, err := NewRules(opened, nil, []netip.Addr{netip.MustParseAddr("169.254.53.53")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proto uint8
		dst   string
		open  bool
	}{
		{6, "10.77.3.4:80", true},
		{6, "10.78.3.4:80", false},
		{6, "172.16.0.1:80", true}, // covered by a wider opened range
		{6, "[fd00:77::1]:80", true},
		{6, "[fd00:78::1]:80", false},
		{6, "[64:ff9b::10.77.3.4]:80", false}, // opened as itself only
		{17, "169.254.53.53:53", true},
		{6, "169.254.53.53:53", true},
		{17, "169.254.53.53:80", false},
		{132, "169.254.53.53:53", false},
		{17, "169.254.53.54:53", false},
	} {
		if got := rules.Allow(c.proto, netip.MustParseAddrPort(c.dst)); got != c.open {
			t.Errorf("proto %d to %s: open %v, want %v", c.proto, c.dst, got, c.open)
		}
	}
}

func TestRulesAreSortedAndBounded(t *testing.T) {
	rules, err := NewRules(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(rules); i++ {
		a, b := rules[i-1].Prefix, rules[i].Prefix
		if c := a.Addr().Compare(b.Addr()); c > 0 || c == 0 && a.Bits() >= b.Bits() {
			t.Fatalf("%s before %s", a, b)
		}
	}
	var many []netip.Prefix
	for i := range MaxRules {
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	if _, err := NewRules(many, nil, nil); !errors.Is(err, ErrField) {
		t.Fatalf("too many ranges: %v", err)
	}
	if _, err := NewRules([]netip.Prefix{{}}, nil, nil); !errors.Is(err, ErrField) {
		t.Fatalf("no range at all: %v", err)
	}
}
