// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/gossip"
	"croft/gossip/topic"
)

// ProtocolMeeting is the stream protocol id of attendances.
const ProtocolMeeting protocol.ID = "/croft/meeting/1"

// meet finds others for a topic, as long as it is open: at its place on the DHT,
// and at the nodes that the slice's record lists.
func (s *Slices) meet(ctx context.Context, t *openTopic) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var holders []peer.AddrInfo
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			s.absent(t, holders)
			return
		case <-timer.C:
		}
		round, cancel := context.WithTimeout(ctx, meetTimeout)
		holders = s.attend(round, t)
		s.visit(round, t)
		cancel()
		timer.Reset(meetAgain[min(turn, len(meetAgain)-1)])
	}
}

// attend says at the place of a topic that this node is there, to the peers that
// hold the place, and connects to those that they name.
func (s *Slices) attend(ctx context.Context, t *openTopic) []peer.AddrInfo {
	place := t.name.Place()
	own, err := s.attendance(place, topic.MaxAttendTerm)
	if err != nil {
		s.g.cfg.Log.Warn("cannot say that a topic is subscribed to", "topic", t.name, "err", err)
		return nil
	}
	holders, err := s.cfg.Router.Closest(ctx, place[:], meetHolders)
	if err != nil {
		s.g.cfg.Log.Debug("nobody holds the place of a topic", "topic", t.name, "err", err)
	}
	met := make([]topic.Met, len(holders)+1)
	met[len(holders)], _ = s.here(own, netip.Prefix{}) // this node may be one of those to whom it is close
	var asks sync.WaitGroup
	for i, h := range holders {
		asks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, meetAsk)
			defer cancel()
			if err := s.g.cfg.Host.Connect(ctx, h); err != nil {
				return
			}
			b, err := s.g.ask(ctx, h.ID, ProtocolMeeting, cbor.RawMessage(own), topic.MaxMeeting)
			if err == nil {
				met[i], err = topic.DecodeMet(b)
			}
			if err != nil {
				s.g.counts.add("meeting:failed")
			}
		})
	}
	asks.Wait()
	seen := map[peer.ID]bool{s.g.cfg.Host.ID(): true}
	var others []peer.AddrInfo
	for _, m := range met {
		for _, b := range m.Others {
			if o, ok := s.other(b, place); ok && !seen[o.ID] {
				seen[o.ID] = true
				others = append(others, o)
			}
		}
	}
	s.connect(ctx, t, others)
	return holders
}

// absent tells those who hold a place that this node has gone.
func (s *Slices) absent(t *openTopic, holders []peer.AddrInfo) {
	own, err := s.attendance(t.name.Place(), 0)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), meetAsk)
	defer cancel()
	_, _ = s.here(own, netip.Prefix{})
	var tells sync.WaitGroup
	for _, h := range holders {
		tells.Go(func() { _, _ = s.g.ask(ctx, h.ID, ProtocolMeeting, cbor.RawMessage(own), topic.MaxMeeting) }) // else it lapses
	}
	tells.Wait()
}

// attendance is what this node says at a place, for a term in seconds.
func (s *Slices) attendance(place topic.Place, term int64) ([]byte, error) {
	now := s.g.cfg.Now().Unix()
	a := topic.Attendance{Node: s.cfg.Key.Principal(), Place: place, Made: now, Until: now + term}
	addrs := slices.Clone(s.g.cfg.Host.Addrs())
	if s.cfg.Dialable != nil {
		addrs = s.cfg.Dialable(addrs)
	}
	slices.SortStableFunc(addrs, func(a, b multiaddr.Multiaddr) int { return cmp.Compare(use(a), use(b)) })
	for _, addr := range addrs {
		if b := addr.Bytes(); len(a.Addrs) < topic.MaxAddrs && len(b) <= topic.MaxAddr {
			a.Addrs = append(a.Addrs, b)
		}
	}
	return topic.SealAttendance(a, s.cfg.Key)
}

// use orders addresses: that of a relay says how to reach a node behind NAT, and a
// loopback helps nobody else.
func use(a multiaddr.Multiaddr) int {
	switch _, err := a.ValueForProtocol(multiaddr.P_CIRCUIT); {
	case err == nil:
		return 0
	case manet.IsIPLoopback(a):
		return 2
	}
	return 1
}

// other reads who else is at a place.
func (s *Slices) other(b []byte, place topic.Place) (peer.AddrInfo, bool) {
	a, err := topic.OpenAttendance(b, s.g.cfg.Now())
	if err != nil || a.Place != place {
		s.g.counts.add("meeting:invalid")
		return peer.AddrInfo{}, false
	}
	id, err := peerOf(a.Node)
	if err != nil {
		return peer.AddrInfo{}, false
	}
	info := peer.AddrInfo{ID: id}
	for _, raw := range a.Addrs {
		if addr, err := multiaddr.NewMultiaddrBytes(raw); err == nil {
			info.Addrs = append(info.Addrs, addr)
		}
	}
	if s.cfg.Dialable != nil {
		info.Addrs = s.cfg.Dialable(info.Addrs)
	}
	return info, true
}

// visit connects to the nodes that the slice's record lists.
func (s *Slices) visit(ctx context.Context, t *openTopic) {
	s.mu.Lock()
	r, ok := s.hub.Record(s.g.cfg.Now(), t.name)
	s.mu.Unlock()
	if !ok {
		return
	}
	var nodes []peer.AddrInfo
	for _, n := range r.Nodes {
		if n == s.cfg.Key.Principal() || len(nodes) >= maxVisits {
			continue
		}
		if info, err := s.cfg.Locate(ctx, n); err == nil {
			nodes = append(nodes, info)
		}
	}
	s.connect(ctx, t, nodes)
}

// connect dials peers until the topic has neighbours enough.
func (s *Slices) connect(ctx context.Context, t *openTopic, peers []peer.AddrInfo) {
	slots := make(chan struct{}, parallelDials)
	var dials sync.WaitGroup
	for _, p := range peers[:min(len(peers), maxVisits)] {
		if len(t.handle.ListPeers()) >= enoughNeighbours {
			break
		}
		slots <- struct{}{}
		dials.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, meetAsk)
			defer cancel()
			if s.g.cfg.Host.Connect(ctx, p) != nil {
				s.g.counts.add("meeting:unreachable")
				return
			}
			s.g.cfg.Host.ConnManager().TagPeer(p.ID, t.name.String(), topicTag)
			s.mu.Lock()
			t.met[p.ID] = true
			s.mu.Unlock()
		})
	}
	dials.Wait()
}

// here judges an attendance at this node.
func (s *Slices) here(b []byte, from netip.Prefix) (topic.Met, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meeting.Attend(s.g.cfg.Now(), b, from)
}

// hold answers attendances of others.
func (s *Slices) hold(stream network.Stream) {
	s.g.serve(stream, s.g.meetings, gossip.Meetings, func(b []byte) (any, error) { return s.here(b, source(stream.Conn())) })
}

// source is what counts as one source network: a /24 of IPv4, a /48 of IPv6; all
// that come through relays are one.
func source(c network.Conn) netip.Prefix {
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	addr, ok := netip.AddrFromSlice(ip)
	if err != nil || !ok {
		return netip.Prefix{}
	}
	addr = addr.Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}
