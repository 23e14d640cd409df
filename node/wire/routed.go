// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	manet "github.com/multiformats/go-multiaddr/net"
)

var routing sync.Mutex // of the library's list

// countAsPublic takes ranges out of those that the libraries regard as unroutable.
// All that they do about reachability leaves such addresses out, and their list is
// where that is decided.
func countAsPublic(ranges []netip.Prefix) {
	routing.Lock()
	defer routing.Unlock()
	for _, open := range ranges {
		if slices.ContainsFunc(manet.Unroutable4, func(n *net.IPNet) bool { return n.Contains(open.Addr().AsSlice()) }) {
			manet.Unroutable4 = without(manet.Unroutable4, open)
		}
	}
}

// without returns ranges less one: a range that holds it is cut in halves until
// what remains is beside it.
func without(ranges []*net.IPNet, open netip.Prefix) (left []*net.IPNet) {
	for _, n := range ranges {
		addr, ok := netip.AddrFromSlice(n.IP)
		bits, _ := n.Mask.Size()
		p := netip.PrefixFrom(addr.Unmap(), bits)
		if !ok || !p.Overlaps(open) {
			left = append(left, n)
			continue
		}
		for p.Bits() < open.Bits() {
			low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
			high := netip.PrefixFrom(upper(low), low.Bits())
			if high.Overlaps(open) {
				low, high = high, low
			}
			left = append(left, &net.IPNet{IP: high.Addr().AsSlice(), Mask: net.CIDRMask(high.Bits(), high.Addr().BitLen())})
			p = low
		}
	}
	return left
}

// upper is the address at which the other half begins.
func upper(low netip.Prefix) netip.Addr {
	b := low.Addr().AsSlice()
	at := low.Bits() - 1
	b[at/8] |= 0x80 >> (at % 8)
	a, _ := netip.AddrFromSlice(b)
	return a
}
