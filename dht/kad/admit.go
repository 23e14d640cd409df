// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"croft/dht"
)

// kad-dht asks whoever connects, and routes, for the twenty nearest to itself, throws
// the answer away and puts him into the table. Whom it finds first it holds for
// replaceable until it has refreshed its table twice, which it does not here: so every
// connection was a request each way, a third of all in a network that grows, and the
// newest peer took the place of the oldest. Here a peer is in the table for good once it
// has answered a question: of a walk, or one that is for those only who came by
// themselves and for whom there is room. To that it has to name somebody, unless the
// network is small: who answers and names nobody would be named to others, and lead
// nowhere. Who has just joined by this node knows nobody yet, and is asked once more.
// Without its own questions kad-dht does not
// mend a small table either: that is done here too.

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
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-mend.C:
			if d.Size() <= smallTable {
				d.admitConnected()
			}
			d.askBlank()
		case e, open := <-sub.Out():
			if !open {
				return
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				d.came(e.Peer)
			case event.EvtPeerProtocolsUpdated:
				d.came(e.Peer)
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

// came admits who shows up, unless it was silent a while ago: who brings that about
// again and again gets no question each time.
func (d *DHT) came(id peer.ID) {
	d.mu.Lock()
	at, failed := d.failed[id]
	rests := failed && time.Since(at) < restAfter
	if rests {
		d.stats.Resting++
	}
	d.mu.Unlock()
	if !rests {
		d.admit(id)
	}
}

// askBlank asks those once more who named nobody when they came.
func (d *DHT) askBlank() {
	d.mu.Lock()
	again := slices.Collect(maps.Keys(d.blank))
	d.mu.Unlock()
	for _, id := range again {
		if d.host.Network().Connectedness(id) == network.Connected && d.dht.RoutingTable().UsefulNewPeer(id) {
			d.admit(id)
			continue
		}
		d.mu.Lock()
		delete(d.blank, id)
		d.mu.Unlock()
	}
}

// admit has a peer that routes show that it does, unless that is about to turn out, or
// there is no room for it, or too many of its network are being asked. What comes of it
// is learned as of any request.
func (d *DHT) admit(id peer.ID) {
	if routes, err := d.host.Peerstore().FirstSupportedProtocol(id, protocolID); err != nil || routes == "" || !d.dht.RoutingTable().UsefulNewPeer(id) {
		return
	}
	groups := d.seen(id)
	d.mu.Lock()
	crowded := slices.ContainsFunc(groups, func(g netip.Prefix) bool { return !g.Addr().IsLoopback() && d.comers[g] >= maxOfNetwork })
	if crowded = crowded || d.admissions == maxAdmissions; crowded && d.asked[id] == 0 {
		d.stats.Crowded++
	}
	if d.asked[id] > 0 || crowded {
		d.mu.Unlock()
		return
	}
	d.comes(groups, 1)
	d.mu.Unlock()
	err := d.background(id, func(ctx context.Context) {
		named, err := d.shows(ctx, id)
		d.learn(id, named, err)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.comes(groups, -1)
		if err == nil && d.leadsNowhere(named) {
			d.isBlank(id)
		} else {
			delete(d.blank, id)
		}
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil { // that is counted
		d.comes(groups, -1)
		return
	}
	d.stats.Comers++
}

// comes takes the questions to comers under way, by network; the lock is held.
func (d *DHT) comes(groups []netip.Prefix, by int) {
	d.admissions += by
	for _, g := range groups {
		if d.comers[g] += by; d.comers[g] == 0 {
			delete(d.comers, g)
		}
	}
}

// shows asks a peer for those nearest to any key, and returns how many it names beside
// this node and itself.
func (d *DHT) shows(ctx context.Context, id peer.ID) (named int, err error) {
	var key [32]byte
	_, _ = rand.Read(key[:])
	closer, err := d.messenger.GetClosestPeers(ctx, id, peer.ID(key[:]))
	for _, ai := range closer {
		if ai.ID != id && ai.ID != d.host.ID() && len(d.keep(ai.Addrs)) > 0 {
			named++
		}
	}
	return named, err
}

// leadsNowhere reports whether who names so many is no use in the table: where there are
// more than k, everybody is to know some.
func (d *DHT) leadsNowhere(named int) bool { return named == 0 && d.Size() >= dht.LookupClosest }

// isBlank notes that a comer named nobody; the lock is held. The second time it counts as
// one that failed, as it does where as many are to be asked once more.
func (d *DHT) isBlank(id peer.ID) {
	d.stats.Blank++
	if d.blank[id] || len(d.blank) == maxAdmissions {
		delete(d.blank, id)
		d.rest(id)
		return
	}
	d.blank[id] = true
}

// rest remembers who failed; the lock is held. Beyond so many the oldest is forgotten.
func (d *DHT) rest(id peer.ID) {
	if _, known := d.failed[id]; !known && len(d.failed) == maxFailed {
		var oldest peer.ID
		for other, at := range d.failed {
			if oldest == "" || at.Before(d.failed[oldest]) {
				oldest = other
			}
		}
		delete(d.failed, oldest)
	}
	d.failed[id] = time.Now()
}
