// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// resolver keeps of what names resolve to those addresses that may be dialled. A name that
// is told by a stranger says nothing of where it leads until then.
type resolver struct {
	names network.MultiaddrDNSResolver
	keep  func([]multiaddr.Multiaddr) []multiaddr.Multiaddr
}

func newResolver(keep func([]multiaddr.Multiaddr) []multiaddr.Multiaddr) resolver {
	return resolver{swarm.ResolverFromMaDNS{Resolver: madns.DefaultResolver}, keep}
}

// ResolveDNSAddr resolves the first /dnsaddr of an address.
func (r resolver) ResolveDNSAddr(ctx context.Context, id peer.ID, addr multiaddr.Multiaddr, depth, most int) ([]multiaddr.Multiaddr, error) {
	list, err := r.names.ResolveDNSAddr(ctx, id, addr, depth, most)
	return r.keep(list), err
}

// ResolveDNSComponent resolves the first name of an address.
func (r resolver) ResolveDNSComponent(ctx context.Context, addr multiaddr.Multiaddr, most int) ([]multiaddr.Multiaddr, error) {
	list, err := r.names.ResolveDNSComponent(ctx, addr, most)
	return r.keep(list), err
}
