// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"croft/dht"
)

// names are those of whom a walk has heard. Each answer names twenty, most of them not
// for the first time, and few are ever asked: what is to be worked out of a peer is
// worked out once, and only of whom is asked are the addresses kept beyond the walk.
type names struct {
	byKey map[dht.Key]*named
	byID  map[peer.ID]*named
}

type named struct {
	dht.Contact
	id    peer.ID
	addrs []ma.Multiaddr // that may be dialled, as others told
	size  int            // of these
}

func newNames() names { return names{map[dht.Key]*named{}, map[peer.ID]*named{}} }

func (n names) add(id peer.ID, c dht.Contact, addrs []ma.Multiaddr) *named {
	p := &named{Contact: c, id: id, addrs: addrs}
	n.byKey[c.Key], n.byID[id] = p, p
	return p
}

// forget drops those that are not kept, when there are too many: liars name others without
// end.
func (n names) forget(kept func(dht.Key) bool) {
	if len(n.byKey) <= maxNames {
		return
	}
	for k, p := range n.byKey {
		if !kept(k) {
			delete(n.byKey, k)
			delete(n.byID, p.id)
		}
	}
}

// more takes in further addresses, as others may have told wrong ones first, and returns
// for how many there was no room.
func (p *named) more(addrs []ma.Multiaddr) (over uint64) {
	for _, a := range addrs {
		switch size := len(a.Bytes()); {
		case slices.ContainsFunc(p.addrs, a.Equal):
		case len(p.addrs) == maxAddrs || p.size+size > maxAddrBytes:
			over++
		default:
			p.addrs, p.size = append(slices.Clip(p.addrs), a), p.size+size
		}
	}
	return over
}

// reveal has the host know where to dial a peer.
func (d *DHT) reveal(p *named) {
	if p.id != d.host.ID() && d.host.Network().Connectedness(p.id) != network.Connected { // of those we have better ones
		d.host.Peerstore().AddAddrs(p.id, p.addrs, peerstore.TempAddrTTL)
	}
}

// input makes of an answer what the look-up takes. As with kad-dht nobody counts whose
// addresses may not be dialled.
func (d *DHT) input(key string, a answer, all names) dht.LookupInput {
	if a.err != nil {
		return dht.Failed{Peer: place(a.from)}
	}
	in := dht.Closer{From: place(a.from), Groups: d.seen(a.from)}
	var malformed, undialable, surplus, over uint64
	for i, ai := range a.closer {
		if i == dht.MaxCloser {
			surplus = uint64(len(a.closer) - i)
			break
		}
		p := all.byID[ai.ID]
		if p != nil {
			over += p.more(d.keep(ai.Addrs))
			in.Peers = append(in.Peers, p.Contact)
			continue
		}
		if _, err := peer.IDFromBytes([]byte(ai.ID)); err != nil || len(ai.ID) > maxID {
			malformed++
			continue
		}
		dialable := d.keep(ai.Addrs)
		if len(dialable) == 0 && len(d.keep(d.host.Peerstore().Addrs(ai.ID))) == 0 && string(ai.ID) != key {
			undialable++
			continue
		}
		p = all.add(ai.ID, d.contact(ai.ID, ai.Addrs), nil)
		over += p.more(dialable)
		in.Peers = append(in.Peers, p.Contact)
	}
	if malformed+undialable+surplus+over > 0 {
		d.mu.Lock()
		d.stats.Malformed += malformed
		d.stats.Undialable += undialable
		d.stats.Surplus += surplus
		d.stats.Addresses += over
		d.mu.Unlock()
	}
	return in
}
