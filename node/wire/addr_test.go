// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"testing"
)

func TestIPOfAMultiaddr(t *testing.T) {
	for addr, want := range map[string]netip.Addr{
		"/ip4/192.0.2.7/udp/4001/quic-v1": netip.MustParseAddr("192.0.2.7"),
		"/ip6/2001:db8::1/tcp/4001":       netip.MustParseAddr("2001:db8::1"),
		"/ip6/::ffff:192.0.2.7/tcp/4001":  netip.MustParseAddr("192.0.2.7"),
		"/dns4/node.example.org/tcp/4001": {},
		"192.0.2.7:4001":                  {},
		"":                                {},
	} {
		if got, ok := IP(addr); got != want || ok != want.IsValid() {
			t.Errorf("%q: %s, %t", addr, got, ok)
		}
	}
}
