// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Circuit follows a relay's address in that of whom it carries for.
const Circuit = "/p2p-circuit"

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

// sourceOf is the address at the other end of a connection, if that is where it
// came from: not a relay's, and not this machine's or link's own, which say
// nothing of who is behind them.
func sourceOf(remote ma.Multiaddr) netip.Addr {
	if remote == nil || circuit(remote) {
		return netip.Addr{}
	}
	a, ok := IP(remote.String())
	if !ok || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
