// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
)

// kad-dht refreshes the whole table by some thirty look-ups of its own whenever a
// first peer or two are found, which was half of what joining cost everybody. Here the
// table is filled by whom look-ups meet: the one for oneself finds all that are near,
// those for anything else whoever is far. What is thin after that is looked into.

// refresh keeps the table filled until the DHT closes.
func (d *DHT) refresh(every time.Duration) {
	whole := time.NewTicker(every)
	defer whole.Stop()
	thin := time.NewTimer(fillEvery)
	defer thin.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-d.joined: // other look-ups come first: they fill it too
			thin.Reset(fillAfter)
		case <-thin.C:
			d.regrown(d.life)
			d.fill(d.life)
			thin.Reset(fillEvery)
		case <-whole.C: // also drops those that are silent
			select {
			case <-d.dht.RefreshRoutingTable():
				d.itself(d.life)
			case <-d.life.Done():
			}
		}
	}
}

// fill looks into the directions in which the table knows few, as far as the look-up
// for oneself did not find everybody there.
func (d *DHT) fill(ctx context.Context) {
	table := d.dht.RoutingTable()
	d.mu.Lock()
	near := d.near
	d.mu.Unlock()
	for i, looked := range table.GetTrackedCplsForRefresh() {
		cpl := uint(i)
		if i >= near || table.NPeersForCpl(cpl) >= thinBucket || time.Since(looked) < fillEvery {
			continue
		}
		if id, err := table.GenRandPeerID(cpl); err == nil {
			_, _ = d.Closest(ctx, []byte(id), thinBucket) // who answers is in the table now
		}
	}
}

// regrown looks the node itself up again when the table has more than doubled since:
// who began the network joined nobody, and who came early found few.
func (d *DHT) regrown(ctx context.Context) {
	d.mu.Lock()
	grown := d.Size() > 2*d.size
	d.mu.Unlock()
	if grown {
		d.itself(ctx)
	}
}

// itself looks the node itself up, which makes it known to its neighbours, and notes
// how far it knows all of them: whoever has more bits in common with it than the
// farthest of those found.
func (d *DHT) itself(ctx context.Context) {
	found, err := d.Closest(ctx, []byte(d.host.ID()), dht.LookupClosest)
	if err != nil {
		return
	}
	self, near := kb.ConvertPeerID(d.host.ID()), maxNear
	for _, ai := range found {
		near = min(near, kb.CommonPrefixLen(self, kb.ConvertPeerID(ai.ID))+1)
	}
	if len(found) < dht.LookupClosest {
		near = 0 // that was everybody
	}
	d.mu.Lock()
	d.near, d.size = near, d.Size()
	d.mu.Unlock()
}

// Know has the routing table know peers that were not asked anything, as far as it has
// room for them, and returns how many it took. Their addresses are kept as those of
// whom a look-up met. Only who knows that they are there may call it, as a simulation
// that stands for hours of look-ups does: in the table they count as having answered
// now, and are named to others. Peers that somebody else told of are for [DHT.Join].
func (d *DHT) Know(peers []peer.AddrInfo) (taken int) {
	table := d.dht.RoutingTable()
	for _, ai := range peers {
		d.host.Peerstore().AddAddrs(ai.ID, d.keep(ai.Addrs), knownTTL)
		if added, err := table.TryAddPeer(ai.ID, true, false); err == nil && added {
			taken++
		}
	}
	return taken
}
