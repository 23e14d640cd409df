// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// peers is a peerstore: what a host knows of others. What has lapsed goes when there
// is much. It implements [peerstore.Peerstore].
type peers struct {
	fabric *Fabric
	self   peer.ID
	key    crypto.PrivKey

	mu    sync.Mutex
	known map[peer.ID]*known
	sweep int // number of peers at which to look for what has lapsed
}

type known struct {
	addrs     []address
	protocols []protocol.ID // never written, only replaced: hosts share it
	latency   time.Duration
	meta      map[string]any
}

type address struct {
	ma.Multiaddr
	ttl   time.Duration
	until int64 // 0: for good
}

func newPeers(h *Host) *peers {
	return &peers{fabric: h.fabric, self: h.id, key: h.key, known: map[peer.ID]*known{h.id: {addrs: []address{{Multiaddr: h.addr}}}}, sweep: sweepPeers}
}

// of returns what is known of a peer, made if need be. It is called with the lock.
func (s *peers) of(p peer.ID) *known {
	k := s.known[p]
	if k != nil {
		return k
	}
	if len(s.known) >= s.sweep {
		at := now()
		maps.DeleteFunc(s.known, func(_ peer.ID, k *known) bool {
			return !slices.ContainsFunc(k.addrs, func(a address) bool { return a.until == 0 || a.until > at })
		})
		s.sweep = max(sweepPeers, 2*len(s.known))
	}
	k = &known{}
	s.known[p] = k
	return k
}

// Close implements [peerstore.Peerstore], as do the following.
func (s *peers) Close() error { return nil }

func (s *peers) PeerInfo(p peer.ID) peer.AddrInfo { return peer.AddrInfo{ID: p, Addrs: s.Addrs(p)} }

func (s *peers) Peers() peer.IDSlice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.known))
}

func (s *peers) RemovePeer(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil { // addresses stay, as in a real one
		k.protocols, k.meta, k.latency = nil, nil, 0
	}
}

// Addresses.

func (s *peers) AddAddr(p peer.ID, a ma.Multiaddr, ttl time.Duration) {
	s.AddAddrs(p, []ma.Multiaddr{a}, ttl)
}

func (s *peers) AddAddrs(p peer.ID, addrs []ma.Multiaddr, ttl time.Duration) {
	if ttl <= 0 || len(addrs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(p)
	for _, a := range addrs {
		if a, id := peer.SplitAddr(a); a != nil && (id == "" || id == p) {
			k.put(s.fabric, a, ttl, false)
		}
	}
}

// put has an address last so long, or longer if it does already and may.
func (k *known) put(f *Fabric, a ma.Multiaddr, ttl time.Duration, shorten bool) {
	until := int64(0)
	if ttl < peerstore.ConnectedAddrTTL {
		until = now() + int64(ttl)
	}
	for i := range k.addrs {
		if o := &k.addrs[i]; o.Equal(a) {
			if shorten || until == 0 || o.until != 0 && until > o.until {
				o.ttl, o.until = ttl, until
			}
			return
		}
	}
	k.addrs = append(k.addrs, address{f.own(a), ttl, until})
}

func (s *peers) SetAddr(p peer.ID, a ma.Multiaddr, ttl time.Duration) {
	s.SetAddrs(p, []ma.Multiaddr{a}, ttl)
}

func (s *peers) SetAddrs(p peer.ID, addrs []ma.Multiaddr, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(p)
	for _, a := range addrs {
		if a, _ := peer.SplitAddr(a); a == nil {
			continue
		} else if ttl <= 0 {
			k.addrs = slices.DeleteFunc(k.addrs, func(o address) bool { return o.Equal(a) })
		} else {
			k.put(s.fabric, a, ttl, true)
		}
	}
}

func (s *peers) UpdateAddrs(p peer.ID, was, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[p]
	if k == nil || p == s.self {
		return
	}
	for i := range k.addrs {
		if o := &k.addrs[i]; o.ttl == was {
			o.ttl, o.until = ttl, now()+int64(ttl)
		}
	}
}

func (s *peers) Addrs(p peer.ID) (addrs []ma.Multiaddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil {
		at := now()
		for _, a := range k.addrs {
			if a.until == 0 || a.until > at {
				addrs = append(addrs, a.Multiaddr)
			}
		}
	}
	return addrs
}

func (s *peers) AddrStream(ctx context.Context, p peer.ID) <-chan ma.Multiaddr {
	addrs := s.Addrs(p)
	ch := make(chan ma.Multiaddr, len(addrs))
	for _, a := range addrs {
		ch <- a
	}
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}

func (s *peers) ClearAddrs(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil {
		k.addrs = nil
	}
}

func (s *peers) PeersWithAddrs() (list peer.IDSlice) {
	for _, p := range s.Peers() {
		if len(s.Addrs(p)) > 0 {
			list = append(list, p)
		}
	}
	return list
}

// Keys: those of our peers are in their ids.

func (s *peers) PubKey(p peer.ID) crypto.PubKey {
	key, err := p.ExtractPublicKey()
	if err != nil {
		return nil
	}
	return key
}

func (s *peers) PrivKey(p peer.ID) crypto.PrivKey {
	if p != s.self {
		return nil
	}
	return s.key
}

func (s *peers) AddPubKey(p peer.ID, key crypto.PubKey) error {
	if !p.MatchesPublicKey(key) {
		return errors.New("adding key: it is another peer's")
	}
	return nil
}

func (s *peers) AddPrivKey(p peer.ID, key crypto.PrivKey) error {
	if !p.MatchesPrivateKey(key) {
		return errors.New("adding key: it is another peer's")
	}
	return nil
}

func (s *peers) PeersWithKeys() peer.IDSlice { return s.Peers() }

// What else is known.

func (s *peers) Get(p peer.ID, key string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil {
		if v, ok := k.meta[key]; ok {
			return v, nil
		}
	}
	return nil, peerstore.ErrNotFound
}

func (s *peers) Put(p peer.ID, key string, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(p)
	if k.meta == nil {
		k.meta = map[string]any{}
	}
	k.meta[key] = v
	return nil
}

func (s *peers) RecordLatency(p peer.ID, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(p)
	if k.latency == 0 {
		k.latency = d
	}
	k.latency += (d - k.latency) / 10
}

func (s *peers) LatencyEWMA(p peer.ID) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil {
		return k.latency
	}
	return 0
}

// Protocols.

func (s *peers) GetProtocols(p peer.ID) ([]protocol.ID, error) {
	return slices.Clone(s.protocols(p)), nil
}

func (s *peers) protocols(p peer.ID) []protocol.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil {
		return k.protocols
	}
	return nil
}

func (s *peers) AddProtocols(p peer.ID, ids ...protocol.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(p)
	for _, id := range ids {
		if !slices.Contains(k.protocols, id) {
			k.protocols = append(slices.Clone(k.protocols), id)
		}
	}
	return nil
}

// SetProtocols keeps the slice, which nobody writes any more.
func (s *peers) SetProtocols(p peer.ID, ids ...protocol.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(p).protocols = ids
	return nil
}

func (s *peers) RemoveProtocols(p peer.ID, ids ...protocol.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[p]; k != nil && len(ids) > 0 {
		k.protocols = slices.DeleteFunc(slices.Clone(k.protocols), func(id protocol.ID) bool { return slices.Contains(ids, id) })
	}
	return nil
}

func (s *peers) SupportsProtocols(p peer.ID, ids ...protocol.ID) (list []protocol.ID, err error) {
	have := s.protocols(p)
	for _, id := range ids {
		if slices.Contains(have, id) {
			list = append(list, id)
		}
	}
	return list, nil
}

func (s *peers) FirstSupportedProtocol(p peer.ID, ids ...protocol.ID) (protocol.ID, error) {
	have := s.protocols(p)
	for _, id := range ids {
		if slices.Contains(have, id) {
			return id, nil
		}
	}
	return "", nil
}
