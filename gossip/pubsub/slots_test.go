// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
)

// line is a connection of which nothing but its ends is of interest.
type line struct {
	network.Conn
	who  peer.ID
	from multiaddr.Multiaddr
}

func (l line) RemotePeer() peer.ID                  { return l.who }
func (l line) RemoteMultiaddr() multiaddr.Multiaddr { return l.from }

func lineFrom(who int, addr string) line {
	return line{who: peer.ID(fmt.Sprint(who)), from: multiaddr.StringCast(addr)}
}

// Neither one peer nor one network keeps slots from others, and all come back.
func TestSlotsAreShared(t *testing.T) {
	s := newSlots(16, 2)
	var backs []func()
	take := func(want string, l line) {
		t.Helper()
		back, why := s.take(l)
		if why != want {
			t.Fatalf("peer %s of %s: %q, not %q", l.who, l.from, why, want)
		}
		if why == "" {
			backs = append(backs, back)
		}
	}
	for _, net := range []string{"/ip4/192.0.2.%d/tcp/1", "/ip6/2001:db8:1:%d::1/tcp/1", "/ip4/198.51.100.%d/tcp/1", "/ip6/2001:db8:2:%d::1/udp/1/quic-v1"} {
		at := func(n int) string { return fmt.Sprintf(net, n) }
		n := len(backs)
		take("", lineFrom(n, at(1)))
		take("", lineFrom(n, at(1)))
		take("crowded", lineFrom(n, at(1))) // the peer
		take("", lineFrom(n+1, at(2)))
		take("", lineFrom(n+2, at(3)))
		if len(backs) == 16 {
			break
		}
		take("crowded", lineFrom(n+3, at(4))) // the network
		if n == 0 {
			take("crowded", lineFrom(0, "/ip4/203.0.113.1/tcp/1")) // the peer from elsewhere
		}
	}
	take("busy", lineFrom(99, "/ip4/203.0.113.1/tcp/1"))
	for _, back := range backs {
		back()
	}
	if s.taken != 0 || len(s.peers) != 0 || len(s.networks) != 0 {
		t.Errorf("%d taken, of %v and %v", s.taken, s.peers, s.networks)
	}
	take("", lineFrom(0, "/ip4/192.0.2.1/tcp/1"))
}

// silent opens streams that say no more than that they are there, until one is reset
// or n are open.
func silent(t *testing.T, from host.Host, to peer.ID, proto protocol.ID, n int) {
	t.Helper()
	for range n {
		s, err := from.NewStream(t.Context(), to, proto)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Reset() })
		if _, err := s.Write([]byte{0}); err != nil {
			return
		}
	}
}
