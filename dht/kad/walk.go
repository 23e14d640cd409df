// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"crypto/sha256"
	"math"
	"net/netip"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/dht"
)

// walked is what came of a walk.
type walked struct {
	closest []peer.ID // that answered, nearest first
	cut     bool      // there may be nearer ones
	values  map[peer.ID][]byte
	target  bool // the peer whose id is the key was asked, and has not failed
}

// walk drives one look-up of the n nearest with kad-dht's own messages, until it ends, enough says
// that it may, or ctx ends. It waits for no request: each goes on in the
// background, and what it shows is learned also when the walk is over.
func (d *DHT) walk(ctx context.Context, key string, n int, q question, enough func() bool) (walked, error) {
	known := d.dht.RoutingTable().NearestPeers(kb.ConvertKey(key), dht.LookupKnown)
	if len(known) == 0 {
		return walked{}, ErrAlone
	}
	w := walked{values: map[peer.ID][]byte{}}
	names := map[dht.Key]peer.ID{}
	seeds := map[peer.ID]time.Duration{} // how long they took
	cfg := dht.LookupConfig{Target: sha256.Sum256([]byte(key)), Self: place(d.host.ID()), Closest: n, Patience: &d.patience}
	for _, id := range known {
		names[place(id)], seeds[id] = id, math.MaxInt64
		cfg.Known = append(cfg.Known, d.contact(id, d.host.Peerstore().Addrs(id)))
	}
	look := dht.NewLookup(cfg)
	answers := make(chan answer, dht.LookupPaths*dht.MaxPathAsks) // as many as are asked: none ever waits to be heard
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer func() { d.count(w, look.Stats()) }()
	for in := dht.LookupInput(dht.Tick{}); ; {
		effects, wake := d.step(look, in)
		for _, e := range effects {
			switch e := e.(type) {
			case dht.Ask:
				id := names[e.Peer]
				w.target = w.target || string(id) == key
				d.ask(id, q, answers)
			case dht.Found:
				for _, k := range e.Peers {
					w.closest = append(w.closest, names[k])
				}
				w.cut = e.Cut
				d.useful(key, w.cut, seeds)
				return w, nil
			}
		}
		if enough != nil && enough() {
			return w, nil
		}
		timer.Reset(time.Until(wake))
		select {
		case a := <-answers:
			if _, seed := seeds[a.from]; seed && a.err == nil {
				seeds[a.from] = a.took
			}
			if a.err != nil && string(a.from) == key {
				w.target = false
			}
			if a.err == nil && a.value != nil {
				w.values[a.from] = a.value
			}
			in = d.input(key, a, names)
		case <-timer.C:
			in = dht.Tick{}
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}

// step takes the lock for the patience that all walks share.
func (d *DHT) step(look *dht.Lookup, in dht.LookupInput) ([]dht.LookupEffect, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	effects := look.Step(time.Now(), in)
	wake, _ := look.NextWake()
	return effects, wake
}

func (d *DHT) bound() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.patience.Bound()
}

// input makes of an answer what the look-up takes, and keeps the addresses in it
// that may be dialled, as kad-dht does.
func (d *DHT) input(key string, a answer, names map[dht.Key]peer.ID) dht.LookupInput {
	if a.err != nil {
		return dht.Failed{Peer: place(a.from)}
	}
	in := dht.Closer{From: place(a.from), Groups: d.seen(a.from)}
	var malformed, undialable, surplus uint64
	for i, ai := range a.closer {
		if i == dht.MaxCloser {
			surplus = uint64(len(a.closer) - i)
			break
		}
		if _, err := peer.IDFromBytes([]byte(ai.ID)); err != nil {
			malformed++
			continue
		}
		book := d.host.Peerstore()
		dialable := d.keep(ai.Addrs)
		if len(dialable) == 0 && len(d.keep(book.Addrs(ai.ID))) == 0 && string(ai.ID) != key {
			undialable++
			continue
		}
		if ai.ID != d.host.ID() && d.host.Network().Connectedness(ai.ID) != network.Connected { // of those we have better ones
			book.AddAddrs(ai.ID, dialable, peerstore.TempAddrTTL)
		}
		c := d.contact(ai.ID, ai.Addrs)
		names[c.Key] = ai.ID
		in.Peers = append(in.Peers, c)
	}
	if malformed+undialable+surplus > 0 {
		d.mu.Lock()
		d.stats.Malformed += malformed
		d.stats.Undialable += undialable
		d.stats.Surplus += surplus
		d.mu.Unlock()
	}
	return in
}

// place is where a peer lies among the keys.
func place(id peer.ID) dht.Key { return sha256.Sum256([]byte(id)) }

func (d *DHT) contact(id peer.ID, addrs []ma.Multiaddr) dht.Contact {
	groups := d.seen(id)
	if len(groups) == 0 {
		groups = dht.Groups(ips(d.keep(addrs)))
	}
	return dht.Contact{Key: place(id), Groups: groups}
}

// seen returns the networks from which a peer is connected.
func (d *DHT) seen(id peer.ID) []netip.Prefix {
	conns := d.host.Network().ConnsToPeer(id)
	if len(conns) == 0 {
		return nil
	}
	addrs := make([]ma.Multiaddr, len(conns))
	for i, c := range conns {
		addrs[i] = c.RemoteMultiaddr()
	}
	return dht.Groups(ips(addrs))
}

// ips leaves out what has none, and what is behind a relay: that is the relay's.
func ips(addrs []ma.Multiaddr) (list []netip.Addr) {
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			continue
		}
		if ip, err := manet.ToIP(a); err == nil {
			if addr, ok := netip.AddrFromSlice(ip); ok {
				list = append(list, addr)
			}
		}
	}
	return list
}
