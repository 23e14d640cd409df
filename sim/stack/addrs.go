// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
)

// addrs gives nodes the addresses that are set aside for measurements (RFC 2544), to
// each site a network of its own as far as there are so many: what is bounded by
// network, or is to be of several, finds as many as there are.
type addrs struct{ used [networks]int }

const (
	networks = 512 // of 24 bits in 198.18.0.0/15
	lastHost = 254
)

// next is the next free address at a site, or near it.
func (a *addrs) next(site int) (ma.Multiaddr, error) {
	for i := range networks {
		n := (site + i) % networks
		if a.used[n] < lastHost {
			a.used[n]++
			return multiaddrOf(n, a.used[n])
		}
	}
	return nil, fmt.Errorf("there are no addresses left: %w", ErrCannot)
}

// multiaddrOf is where the host of a number in a network listens.
func multiaddrOf(network, host int) (ma.Multiaddr, error) {
	ip := netip.AddrFrom4([4]byte{198, byte(18 + network/256), byte(network), byte(host)})
	return ma.NewMultiaddr("/ip4/" + ip.String() + "/udp/4001/quic-v1")
}
