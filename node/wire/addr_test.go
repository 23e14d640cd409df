// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
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

func TestSourceOfAConnection(t *testing.T) {
	for addr, want := range map[string]netip.Addr{
		"/ip4/192.0.2.7/udp/4001/quic-v1": netip.MustParseAddr("192.0.2.7"),
		"/ip6/2001:db8::1/tcp/4001":       netip.MustParseAddr("2001:db8::1"),
		"/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWQmsUpZ7fLy8HvAcysPxjmA9nx6BrHkxchGQ27m13GKRh/p2p-circuit": {},
		"/ip4/127.0.0.1/tcp/4001": {},
		"/ip6/fe80::1/tcp/4001":   {},
		"/dns4/node.example.org":  {},
	} {
		m, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := sourceOf(m); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if sourceOf(nil).IsValid() {
		t.Error("no address has a source")
	}
}
