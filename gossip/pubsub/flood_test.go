// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"croft/gossip"
	"croft/lease/offer"
)

// flooder speaks GossipSub by the wire alone, as fast as it is let.
type flooder struct {
	t   *testing.T
	out network.Stream
}

func newFlooder(t *testing.T, at host.Host) *flooder {
	t.Helper()
	h := newHost(t)
	for _, proto := range ps.GossipSubDefaultProtocols {
		h.SetStreamHandler(proto, func(s network.Stream) { io.Copy(io.Discard, s) })
	}
	connect(t, h, at)
	s, err := h.NewStream(t.Context(), at.ID(), ps.GossipSubID_v12)
	if err != nil {
		t.Fatal(err)
	}
	f := &flooder{t, s}
	topic, yes := TopicCapacity, true
	f.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Subscribe: &yes, Topicid: &topic}},
		Control: &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &topic}}}})
	return f
}

// send reports whether the packet went out.
func (f *flooder) send(rpc *pb.RPC) bool {
	b, err := proto.Marshal(rpc)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = f.out.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	return err == nil
}

func message(b []byte) *pb.RPC {
	topic := TopicCapacity
	return &pb.RPC{Publish: []*pb.Message{{Data: b, Topic: &topic}}}
}

// A neighbour floods, with messages that are good and of no use, that are bad, and
// that are too large. What is looked at of them is bounded, and gossip among the
// others goes on as before.
func TestAFloodIsBoundedAndTheHonestAreHeard(t *testing.T) {
	const flood = 2 * gossip.MessageBurst
	newest := offerOf(t, "sybil", flood+1, nil)
	for name, c := range map[string]struct {
		message func(i int) []byte
		drop    string
		over    bool // it is what ends it; else what the neighbour is worth does
	}{
		"valid and of no use": {func(i int) []byte { return offerOf(t, "sybil", uint64(i+1), nil).Bytes }, "ignore:superseded", true},
		"garbage":             {func(i int) []byte { return fmt.Appendf(nil, "garbage %d", i) }, "reject:malformed", false},
		"too large":           {func(i int) []byte { return binary.AppendUvarint(make([]byte, offer.MaxOffer+1), uint64(i)) }, "reject:too-big", false},
	} {
		t.Run(name, func(t *testing.T) {
			var opened atomic.Int64
			hosts := []host.Host{newHost(t), newHost(t), newHost(t)}
			var all []*Gossip
			for i, h := range hosts { // a line, flooded in its middle
				cfg := Config{}
				if i == 1 {
					cfg.View.Open = func(b []byte) (*offer.Opened, error) {
						opened.Add(1)
						o, err := offer.Open(b, nil)
						return &o, err
					}
				}
				all = append(all, start(t, h, cfg))
				if i > 0 {
					connect(t, h, hosts[i-1])
				}
			}
			meshed(t, TopicCapacity, all)
			if err := all[0].Publish(t.Context(), newest); err != nil {
				t.Fatal(err)
			}
			for _, g := range all {
				wait(t, "the newest is there", func() bool { return len(g.Offers()) == 1 })
			}

			f := newFlooder(t, hosts[1])
			wait(t, "it is in the mesh", func() bool { return all[1].Stats().Meshes[TopicCapacity] == 3 })
			for i := range flood {
				if !f.send(message(c.message(i))) {
					break
				}
			}
			middle := all[1]
			wait(t, "the flood is felt", func() bool { return middle.Stats().Drops[c.drop] > 0 })
			if c.over {
				wait(t, "it is over its allowance", func() bool { return middle.Stats().Drops["flood:messages"] > 0 })
				wait(t, "it leaves the mesh", func() bool { return middle.Stats().Meshes[TopicCapacity] == 2 })
			}
			for i := range 5 {
				if err := all[0].Publish(t.Context(), offerOf(t, fmt.Sprint("honest", i), 1, nil)); err != nil {
					t.Fatal(err)
				}
			}
			wait(t, "the honest are heard", func() bool { return len(all[2].Offers()) == 6 })
			s := middle.Stats()
			if n := opened.Load(); n > gossip.MessageBurst+50 {
				t.Errorf("%d offers were opened", n)
			}
			if n := all[2].Stats().Drops[c.drop]; n != 0 {
				t.Errorf("%d of the flood were passed on", n)
			}
			t.Logf("%d of %d opened; drops %v", opened.Load(), flood, s.Drops)
		})
	}
}

// Who asks for the view again and again is told no more after a while; another is.
func TestPullsAreBounded(t *testing.T) {
	server, greedy, modest := newHost(t), newHost(t), newHost(t)
	g := start(t, server, Config{})
	for i := range gossip.PageOffers {
		if err := g.Publish(t.Context(), offerOf(t, fmt.Sprint("n", i), 1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	connect(t, greedy, server)
	connect(t, modest, server)
	ask := func(h host.Host) int {
		s, err := h.NewStream(t.Context(), server.ID(), Protocol)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		s.Write([]byte{0xa0}) // an empty map: all there is
		s.CloseWrite()
		b, err := io.ReadAll(s)
		if err != nil {
			return 0
		}
		return len(b)
	}
	got, pages := 0, 0
	for n := ask(greedy); n > 0 && got <= gossip.AnswerBurst; n = ask(greedy) {
		got, pages = got+n, pages+1
	}
	if got > gossip.AnswerBurst || pages == 0 || g.Stats().Drops["serve:allowance"] == 0 {
		t.Errorf("%d bytes in %d pages; drops %v", got, pages, g.Stats().Drops)
	}
	if ask(modest) == 0 {
		t.Error("another is told nothing")
	}
}
