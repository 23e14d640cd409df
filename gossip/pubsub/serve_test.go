// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"net/netip"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
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

// When others have had all that there is of views, a newcomer of another network is
// still told, and those others are of opt-outs.
func TestTheGreedyLeaveAnswersToOthers(t *testing.T) {
	server, near := newHost(t), newHost(t)
	g := start(t, server, Config{OptOuts: &words{}})
	far, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.1.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if err := g.Publish(t.Context(), offerOf(t, "n", 1, nil)); err != nil {
		t.Fatal(err)
	}
	for _, h := range []host.Host{near, far} {
		connect(t, h, server)
	}
	same, another := start(t, near, Config{Light: true}), start(t, far, Config{Light: true})
	ask := func(by *Gossip, proto protocol.ID, req any) error {
		_, err := by.ask(t.Context(), server.ID(), proto, req, gossip.MaxProofPage)
		return err
	}
	home := netip.MustParsePrefix("127.0.0.0/24")
	g.intakeMu.Lock()
	for i, n := range []int{gossip.AnswerBurst, gossip.AnswerBurst, gossip.AnswerBurstFirst} {
		if !g.intake.Answer(clock(), gossip.Views, keyOf(string(rune('a'+i))).Principal(), home, n) {
			t.Errorf("%d bytes are not there", n)
		}
	}
	g.intakeMu.Unlock()
	if ask(same, Protocol, gossip.PullRequest{}) == nil {
		t.Error("there is more than all")
	}
	if err := ask(same, ProtocolOptOuts, gossip.ProofPull{Digest: gossip.Digest{1}}); err != nil {
		t.Error(err)
	}
	if err := ask(another, Protocol, gossip.PullRequest{}); err != nil {
		t.Errorf("a newcomer: %v, drops %v", err, g.Stats().Drops)
	}
}
