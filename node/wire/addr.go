// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// IP is the IP address in a multiaddr, if there is one.
func IP(multiaddr string) (netip.Addr, bool) {
	m, err := ma.NewMultiaddr(multiaddr)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}
