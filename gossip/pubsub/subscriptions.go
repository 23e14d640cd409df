// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"sync"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip/topic"
)

// subscriptions decides which topics of others are remembered: the shared ones,
// and of slices so many of each peer, whether they are known here or not, since a
// peer says only once to what it subscribes.
type subscriptions struct {
	shared map[string]bool
	there  func(peer.ID) bool // whether a peer is connected

	mu  sync.Mutex
	his map[peer.ID]map[string]bool // topics of slices
}

func newSubscriptions(shared []string, there func(peer.ID) bool) *subscriptions {
	s := &subscriptions{shared: map[string]bool{}, there: there, his: map[peer.ID]map[string]bool{}}
	for _, t := range shared {
		s.shared[t] = true
	}
	return s
}

// CanSubscribe reports whether a topic is one.
func (s *subscriptions) CanSubscribe(name string) bool {
	if s.shared[name] {
		return true
	}
	_, err := topic.ParseName(name)
	return err == nil
}

// FilterIncomingSubscriptions passes over what is no topic, and what is too much.
func (s *subscriptions) FilterIncomingSubscriptions(from peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*pb.RPC_SubOpts
	for _, sub := range ps.FilterSubscriptions(subs, s.CanSubscribe) {
		name := sub.GetTopicid()
		switch his := s.his[from]; {
		case s.shared[name]:
		case !sub.GetSubscribe():
			delete(his, name)
		case len(his) >= maxHisTopics && !his[name], his == nil && !s.there(from): // his last words come after he left
			continue
		default:
			if his == nil {
				his = map[string]bool{}
				s.his[from] = his
			}
			his[name] = true
		}
		kept = append(kept, sub)
	}
	return kept, nil
}

// gone forgets the peers that leave.
func (s *subscriptions) gone() network.Notifiee {
	return &network.NotifyBundle{DisconnectedF: func(n network.Network, c network.Conn) {
		if n.Connectedness(c.RemotePeer()) != network.NotConnected {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.his, c.RemotePeer())
	}}
}
