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

// walk drives one look-up with kad-dht's own messages, until it ends, enough says that it
// may, or ctx ends. Before are those that the last one found. It waits for no request:
// each goes on in the background, and what it shows is learned also when the walk is over.
func (d *DHT) walk(ctx context.Context, cfg dht.LookupConfig, key string, q question, enough func() bool, before ...peer.AddrInfo) (walked, error) {
	known := d.dht.RoutingTable().NearestPeers(kb.ConvertKey(key), dht.LookupKnown)
	if len(known)+len(before) == 0 {
		return walked{}, ErrAlone
	}
	w := walked{values: map[peer.ID][]byte{}}
	all := newNames()
	seeds := map[peer.ID]time.Duration{} // how long they took
	cfg.Target, cfg.Self = sha256.Sum256([]byte(key)), place(d.host.ID())
	cfg.Patience, cfg.Density = &d.patience, &d.density
	for _, ai := range before {
		c := all.add(ai.ID, d.contact(ai.ID, ai.Addrs), d.keep(ai.Addrs)).Contact
		if d.host.Network().Connectedness(ai.ID) == network.Connected {
			cfg.Before = append(cfg.Before, c)
		} else {
			cfg.Known = append(cfg.Known, c)
		}
	}
	for _, id := range known {
		seeds[id] = math.MaxInt64
		if all.byID[id] == nil {
			all.add(id, d.contact(id, d.host.Peerstore().Addrs(id)), nil)
		}
		cfg.Known = append(cfg.Known, all.byID[id].Contact)
	}
	look := dht.NewLookup(cfg)
	answers := make(chan answer, dht.LookupPaths*dht.MaxPathAsks) // as many as are asked: none ever waits to be heard
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer func() { d.count(w, look.Stats()) }()
	for in := dht.LookupInput(dht.Tick{}); ; {
		effects, wake := d.step(look, in)
		all.forget(look.Keeps)
		for _, e := range effects {
			switch e := e.(type) {
			case dht.Ask:
				p := all.byKey[e.Peer]
				w.target = w.target || string(p.id) == key
				d.reveal(p)
				d.ask(p.id, q, answers)
			case dht.Found:
				for _, k := range e.Peers {
					d.reveal(all.byKey[k]) // it may not have been asked
					w.closest = append(w.closest, all.byKey[k].id)
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
			in = d.input(key, a, all)
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
