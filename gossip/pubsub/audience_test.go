// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// cut ends all connections between two hosts, and waits until both know.
func cut(t *testing.T, a, b host.Host) {
	t.Helper()
	if err := a.Network().ClosePeer(b.ID()); err != nil {
		t.Fatal(err)
	}
	wait(t, "the connection is gone", func() bool {
		return a.Network().Connectedness(b.ID()) == network.NotConnected && b.Network().Connectedness(a.ID()) == network.NotConnected
	})
}

// An offer that was told while the node was cut off is wanted again when it is back,
// once; and while somebody is there who heard it, nothing is.
func TestWhatNobodyHeardIsToldAgain(t *testing.T) {
	sleeper, other := newHost(t), newHost(t)
	var again atomic.Int32
	// No pull repairs it within the time of this test but those that follow a return.
	one := start(t, sleeper, Config{PullEvery: time.Hour, Retell: func() { again.Add(1) }})
	two := start(t, other, Config{PullEvery: time.Hour})
	connect(t, sleeper, other)
	meshed(t, TopicCapacity, []*Gossip{one, two})
	publish := func(sequence uint64) {
		t.Helper()
		if err := one.Publish(t.Context(), offerOf(t, "sleeper", sequence, nil)); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	wait(t, "the offer has arrived", func() bool { return len(two.Offers()) == 1 })
	if n := again.Load(); n != 0 {
		t.Fatalf("it wants it told again %d times while it was heard", n)
	}

	cut(t, sleeper, other)
	wait(t, "the router knows", func() bool { return one.Stats().Neighbours == 0 && two.Stats().Neighbours == 0 })
	publish(2)
	connect(t, sleeper, other)
	wait(t, "it wants the offer told again", func() bool { return again.Load() == 1 })
	publish(3)
	wait(t, "the newest has arrived", func() bool { return two.Offers()[0].Offer.Sequence == 3 })
	if n := again.Load(); n != 1 {
		t.Errorf("it wanted it %d times", n)
	}
}

func TestHalfOfTheNeighboursLost(t *testing.T) {
	a, now := newAudience(), time.Unix(1, 0)
	missed := func(after time.Duration) bool { now = now.Add(after); return a.missed(now, time.Minute) }
	for _, id := range []string{"a", "b", "c", "d"} {
		a.came(peer.ID(id))
	}
	a.went(peer.ID("a"))
	a.went(peer.ID("a")) // it was not there any more
	if missed(0) {
		t.Error("one of four is taken for many")
	}
	a.went(peer.ID("b"))
	if !missed(0) || missed(time.Hour) {
		t.Error("two of four are not counted, or twice")
	}
	a.went(peer.ID("c"))
	a.pulled()
	if missed(time.Hour) {
		t.Error("what was pulled is missed")
	}
}

// One neighbour that comes and goes does not have a node begin anew, and many that do
// have it begin anew once in the time between two pulls.
func TestWhoComesAndGoesIsLostOnce(t *testing.T) {
	a, now := newAudience(), time.Unix(1, 0)
	for _, id := range []string{"a", "b", "c"} {
		a.came(peer.ID(id))
	}
	for range 100 {
		a.went("a")
		a.came("a")
		if a.missed(now, time.Minute) {
			t.Fatal("one of three is taken for many")
		}
	}
	anew := 0
	for i := range 600 {
		for _, id := range []peer.ID{"a", "b", "c"} {
			a.went(id)
			a.came(id)
		}
		if a.missed(now.Add(time.Duration(i)*time.Second), time.Minute) {
			anew++
		}
	}
	if anew != 10 {
		t.Errorf("it began anew %d times in ten minutes", anew)
	}
	for i := range 2 * maxLost {
		id := peer.ID(binary.BigEndian.AppendUint32(nil, uint32(i)))
		a.came(id)
		a.went(id)
	}
	if len(a.lost) != maxLost {
		t.Errorf("%d are counted", len(a.lost))
	}
}

// A newcomer that nobody has heard yet is no node that was cut off.
func TestANewcomerIsNotToldAgain(t *testing.T) {
	a := newAudience()
	a.telling([]byte("first"))
	a.came("a")
	if a.untold() {
		t.Error("it is told again before anybody heard it")
	}
	told := &ps.RPC{RPC: pb.RPC{Publish: []*pb.Message{{Topic: proto.String(TopicCapacity), Data: []byte("first")}}}}
	a.sent(told, "a")
	a.went("a")
	if !a.untold() {
		t.Error("who heard it is gone, and it is not told again")
	}
	a.telling([]byte("second"))
	a.sent(told, "b") // the old one, for somebody else
	if !a.untold() {
		t.Error("the old offer is taken for the new one")
	}
}
