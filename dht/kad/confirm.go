// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
)

// Confirm reports whether peers that [DHT.Closest] found are still those nearest to a
// key: the nearest few of them answer and know nobody nearer whom a look-up would find
// ([dht.Still]), nor does this node. That is a fifth of what a look-up asks. Who is
// silent is not waited for; the answer is no then, as it is when in doubt.
func (d *DHT) Confirm(ctx context.Context, key []byte, known []peer.AddrInfo) bool {
	if len(known) < dht.ConfirmAsks {
		return false
	}
	target, self := dht.Key(sha256.Sum256(key)), place(d.host.ID())
	var found, met []dht.Contact
	for _, ai := range known {
		found = append(found, d.contact(ai.ID, ai.Addrs))
	}
	for _, id := range d.dht.RoutingTable().NearestPeers(kb.ConvertKey(string(key)), len(known)) {
		if addrs := d.keep(d.host.Peerstore().Addrs(id)); len(addrs) > 0 {
			met = append(met, d.contact(id, addrs))
		}
	}
	if !dht.Still(target, found, met) {
		return false
	}
	answers := make(chan answer, dht.ConfirmAsks) // none ever waits to be heard
	for _, ai := range known[:dht.ConfirmAsks] {
		d.ask(ai.ID, d.nodes(string(key)), answers)
	}
	late := time.NewTimer(dht.PatienceCap)
	defer late.Stop()
	for range dht.ConfirmAsks {
		select {
		case a := <-answers:
			in, ok := d.input(string(key), a, map[dht.Key]peer.ID{}).(dht.Closer)
			if !ok {
				return false
			}
			others := slices.DeleteFunc(in.Peers, func(c dht.Contact) bool { return c.Key == self })
			if met = append(met, others...); !dht.Still(target, found, met) {
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
