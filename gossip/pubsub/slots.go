// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// slots bound the inbound streams that are answered at once: of all, of one peer,
// since a stream that says nothing costs its opener nothing, and of one source
// network, since keys are free.
type slots struct {
	all, each int // and a quarter of all for a network

	mu       sync.Mutex
	taken    int
	peers    map[peer.ID]int
	networks map[netip.Prefix]int
}

func newSlots(all, each int) *slots {
	return &slots{all: all, each: each, peers: map[peer.ID]int{}, networks: map[netip.Prefix]int{}}
}

// take takes a slot, or says why there is none. The slot is given back before the
// stream is closed: whoever has read its end finds room for the next.
func (s *slots) take(c network.Conn) (back func(), why string) {
	who, from := c.RemotePeer(), source(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.taken >= s.all:
		return nil, "busy"
	case s.peers[who] >= s.each || s.networks[from] >= s.all/4:
		return nil, "crowded"
	}
	s.taken++
	s.peers[who]++
	s.networks[from]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
		less(s.peers, who)
		less(s.networks, from)
	}, ""
}

// less counts one less, and keeps no zeros.
func less[K comparable](of map[K]int, k K) {
	if of[k]--; of[k] == 0 {
		delete(of, k)
	}
}
