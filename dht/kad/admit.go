// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// kad-dht asks whoever connects, and routes, for the twenty nearest to itself, throws
// the answer away and puts him into the table. Whom it finds first it holds for
// replaceable until it has refreshed its table twice, which it does not here: so every
// connection was a request each way, a third of all in a network that grows, and the
// newest peer took the place of the oldest. Here a peer is in the table for good once it
// has answered: a question of a walk, or a ping, which is for those only who came by
// themselves and for whom there is room.

// admissions subscribes to who turns out to route.
func admissions(h host.Host) (event.Subscription, error) {
	sub, err := h.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated)}, eventbus.BufSize(maxAsks))
	if err != nil {
		return nil, fmt.Errorf("subscribing to who connects: %w", err)
	}
	return sub, nil
}

// admitting looks at those who are connected, and at those who come, until the DHT closes.
func (d *DHT) admitting(sub event.Subscription) {
	defer sub.Close()
	d.admitConnected()
	for {
		select {
		case <-d.life.Done():
			return
		case e, open := <-sub.Out():
			if !open {
				return
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				d.admit(e.Peer)
			case event.EvtPeerProtocolsUpdated:
				d.admit(e.Peer)
			}
		}
	}
}

// admitConnected looks at all who are connected: who did not answer when he came may by
// now, and does not come again.
func (d *DHT) admitConnected() {
	for _, id := range d.host.Network().Peers() {
		d.admit(id)
	}
}

// admit has a peer that routes show that it answers, unless that is about to turn out
// or there is no room for it. What comes of it is learned as of any request.
func (d *DHT) admit(id peer.ID) {
	d.mu.Lock()
	asked := d.asked[id] > 0
	d.mu.Unlock()
	if asked {
		return
	}
	if routes, err := d.host.Peerstore().FirstSupportedProtocol(id, protocolID); err != nil || routes == "" || !d.dht.RoutingTable().UsefulNewPeer(id) {
		return
	}
	err := d.background(id, func(ctx context.Context) { d.learn(id, d.messenger.Ping(ctx, id)) })
	if err == nil { // else that is counted
		d.mu.Lock()
		d.stats.Pings++
		d.mu.Unlock()
	}
}
