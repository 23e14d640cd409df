// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"slices"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
)

// Confirm reports whether peers that [DHT.Closest] found are still those nearest to a
// key: the nearest few of them answer and know nobody nearer, nor does this node. That
// is a fifth of what a look-up asks. Who is silent is not waited for; the answer is no
// then, as it is when in doubt.
func (d *DHT) Confirm(ctx context.Context, key []byte, known []peer.AddrInfo) bool {
	if len(known) < confirmAsks {
		return false
	}
	last := known[len(known)-1].ID
	nearer := func(id peer.ID) bool {
		return id != d.host.ID() && kb.Closer(id, last, string(key)) &&
			!slices.ContainsFunc(known, func(ai peer.AddrInfo) bool { return ai.ID == id })
	}
	if slices.ContainsFunc(d.dht.RoutingTable().NearestPeers(kb.ConvertKey(string(key)), len(known)), nearer) {
		return false
	}
	answers := make(chan answer, confirmAsks) // none ever waits to be heard
	for _, ai := range known[:confirmAsks] {
		d.ask(ai.ID, d.nodes(string(key)), answers)
	}
	late := time.NewTimer(dht.PatienceCap)
	defer late.Stop()
	for range confirmAsks {
		select {
		case a := <-answers:
			if a.err != nil || slices.ContainsFunc(a.closer, func(ai *peer.AddrInfo) bool { return nearer(ai.ID) }) {
				return false
			}
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
