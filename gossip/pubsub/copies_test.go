// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"fmt"
	"testing"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// What was looked at is told for as long as copies come, and no longer; neither is more
// kept than there is room for.
func TestCopies(t *testing.T) {
	var c copies
	now := time.Unix(1e9, 0)
	of := func(s string) messageName {
		return nameOf(&pb.Message{Topic: proto.String(TopicCapacity), Data: []byte(s)})
	}
	add := func(s string) {
		id := of(s)
		c.add(now, string(id[:]))
	}
	add("a")
	c.add(now, "an id of somebody else's making")
	now = now.Add(copiesFor - 1)
	add("b")
	for _, step := range []struct {
		after time.Duration
		a, b  bool
	}{{0, true, true}, {copiesFor, true, true}, {copiesFor, false, false}, {-time.Hour, false, false}} {
		now = now.Add(step.after)
		if a, b := c.has(now, of("a")), c.has(now, of("b")); a != step.a || b != step.b {
			t.Errorf("%s later: %t and %t, want %t and %t", step.after, a, b, step.a, step.b)
		}
	}
	for i := range maxCopies + 10 {
		add(fmt.Sprint(i))
	}
	if len(c.new) != maxCopies {
		t.Errorf("%d are kept, want %d", len(c.new), maxCopies)
	}
}

// A copy does not come to the router, is counted, and costs its sender's allowance like
// any message; what was rejected is the router's each time.
func TestCopiesAreCounted(t *testing.T) {
	g, from := start(t, newHost(t), Config{}), peer.ID("a neighbour")
	result := ps.ValidationAccept
	judged := g.noting(func(context.Context, peer.ID, *ps.Message) ps.ValidationResult { return result })
	packet := func(data ...string) *ps.RPC {
		rpc := &ps.RPC{}
		for _, d := range data {
			rpc.Publish = append(rpc.Publish, &pb.Message{Topic: proto.String(TopicCapacity), Data: []byte(d)})
		}
		return rpc
	}
	for _, d := range []string{"good", "bad"} {
		m := packet(d).Publish[0]
		judged(t.Context(), from, &ps.Message{Message: m, ID: messageID(m)})
		result = ps.ValidationReject
	}
	rpc := packet("good", "bad", "new")
	if err := g.inspect(from, rpc); err != nil {
		t.Fatal(err)
	}
	if len(rpc.Publish) != 2 || string(rpc.Publish[0].Data) != "bad" || string(rpc.Publish[1].Data) != "new" {
		t.Errorf("left is %v", rpc.Publish)
	}
	if s := g.Stats(); s.Doubles != 1 || s.Traffic[TopicCapacity].MessagesIn != 1 || s.Traffic[TopicCapacity].BytesIn == 0 {
		t.Errorf("counted %d doubles, %+v", s.Doubles, s.Traffic[TopicCapacity])
	}
	var err error
	for sent := 0; err == nil && sent < 1<<20; sent++ {
		err = g.inspect(from, packet("good"))
	}
	if err == nil {
		t.Fatal("one who sends nothing but copies is heard for ever")
	}
	before, over := g.Stats(), packet("good", "new")
	if err := g.inspect(from, over); err == nil || len(over.Publish) != 2 {
		t.Errorf("of a packet over the allowance %d messages are left: %v", len(over.Publish), err)
	}
	if after := g.Stats(); after.Doubles != before.Doubles || after.Traffic[TopicCapacity] != before.Traffic[TopicCapacity] ||
		after.Drops["flood:messages"] != before.Drops["flood:messages"]+2 {
		t.Errorf("what is dropped unread is counted as read: %+v, before %+v", after, before)
	}
}
