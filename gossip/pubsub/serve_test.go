// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/gossip"
	"croft/gossip/topic"
)

// Who opens pulls or meetings and says nothing keeps nobody else from either, though
// he is in the same network, and himself not from the other.
func TestSilentPullsLeaveRoom(t *testing.T) {
	key := keyOf("subscriber")
	attendance, err := topic.SealAttendance(topic.Attendance{Place: topic.Place{1}, Node: key.Principal(), Made: noon.Unix(), Until: noon.Unix() + 60}, key)
	if err != nil {
		t.Fatal(err)
	}
	asks := map[protocol.ID]func(*Gossip, context.Context, peer.ID) error{
		Protocol: func(g *Gossip, ctx context.Context, at peer.ID) error {
			_, err := g.ask(ctx, at, Protocol, gossip.PullRequest{}, gossip.MaxPage)
			return err
		},
		ProtocolMeeting: func(g *Gossip, ctx context.Context, at peer.ID) error {
			_, err := g.ask(ctx, at, ProtocolMeeting, cbor.RawMessage(attendance), topic.MaxMeeting)
			return err
		},
	}
	for quiet := range asks {
		t.Run(string(quiet), func(t *testing.T) {
			w := &town{t: t}
			g := w.node("server", false)
			server := w.hosts[0]
			hostile, other := start(t, newHost(t), Config{Light: true}), start(t, newHost(t), Config{Light: true})
			connect(t, hostile.cfg.Host, server)
			connect(t, other.cfg.Host, server)
			silent(t, hostile.cfg.Host, server.ID(), quiet, maxServed)
			wait(t, "what is too much of them is refused", func() bool { return g.Stats().Drops["serve:crowded"] > 0 })
			for proto, ask := range asks {
				if err := ask(other, t.Context(), server.ID()); err != nil {
					t.Errorf("another by %s: %v; drops %v", proto, err, g.Stats().Drops)
				}
				if err := ask(hostile, t.Context(), server.ID()); (err != nil) != (proto == quiet) {
					t.Errorf("the same by %s: %v", proto, err)
				}
			}
		})
	}
}
