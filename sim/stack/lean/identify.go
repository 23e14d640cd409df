// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// What a peer says of itself travels outside of streams: identify's round trip was
// waited for, and the other host is asked in memory.

// identify learns what the other end is.
func (c *conn) identify() {
	defer close(c.known)
	h, o := c.host, c.other().host
	if c.closed.Load() || c.link.fabric.dead(h, o) {
		return
	}
	protocols, addrs := o.mux.Protocols(), []ma.Multiaddr{o.addr}
	_ = h.store.SetProtocols(o.id, protocols...) // a peerstore in memory refuses nothing
	ttl := time.Duration(peerstore.ConnectedAddrTTL)
	if c.link.quiet {
		ttl = peerstore.RecentlyConnectedAddrTTL
	}
	h.store.AddAddrs(o.id, addrs, ttl)
	h.emit(func() {
		_ = h.identified.Emit(event.EvtPeerIdentificationCompleted{Peer: o.id, Conn: c, ListenAddrs: addrs, Protocols: protocols,
			AgentVersion: o.agent, ProtocolVersion: "croft/1", ObservedAddr: h.addr})
	})
}

// push tells neighbours of protocols that came or went, as identify push does.
func (h *Host) push(added, removed []protocol.ID) {
	for _, c := range h.all() {
		to := c.other()
		c.link.tell(c.end, func() {
			if to.closed.Load() {
				return
			}
			_ = to.host.store.AddProtocols(h.id, added...)
			_ = to.host.store.RemoveProtocols(h.id, removed...)
			to.host.emit(func() {
				_ = to.host.updated.Emit(event.EvtPeerProtocolsUpdated{Peer: h.id, Added: slices.Clone(added), Removed: slices.Clone(removed)})
			})
		})
	}
}
