// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip/topic"
	"croft/lease"
)

// town is hosts that all know where the others are, and the records of slices.
type town struct {
	t     *testing.T
	mu    sync.Mutex
	hosts []host.Host
	known map[string]lease.OpenedSlice
}

func (w *town) Closest(context.Context, []byte, int) (all []peer.AddrInfo, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		all = append(all, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	}
	return all, nil
}

// of is a router for one of them.
type of struct {
	*town
	self host.Host
}

func (r of) Closest(ctx context.Context, key []byte, n int) ([]peer.AddrInfo, error) {
	all, err := r.town.Closest(ctx, key, n)
	for i, ai := range all {
		if ai.ID == r.self.ID() {
			return append(all[:i:i], all[i+1:]...), err
		}
	}
	return all, err
}

func (w *town) record(_ context.Context, owner lease.Principal, slice string) (lease.OpenedSlice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.known[owner.String()+slice]; ok {
		return r, nil
	}
	return lease.OpenedSlice{}, errors.New("no record")
}

func (w *town) locate(_ context.Context, p lease.Principal) (peer.AddrInfo, error) {
	return peer.AddrInfo{}, errors.New("nobody knows")
}

// publish makes a record the newest that can be looked up.
func (w *town) publish(owner, slice string, sequence uint64, topics ...lease.Topic) {
	w.t.Helper()
	key := keyOf(owner)
	r, err := lease.SealSlice(lease.SliceRecord{Owner: key.Principal(), Slice: slice, Sequence: sequence, Made: noon.Unix(), Until: noon.Unix() + 3600, Topics: topics}, key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[key.Principal().String()+slice] = r
}

// node is one more in town, with the key of a name.
func (w *town) node(name string, light bool) *Gossip {
	w.t.Helper()
	key := keyOf(name)
	priv, err := crypto.UnmarshalEd25519PrivateKey(ed25519.PrivateKey(key))
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(priv), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { h.Close() })
	g := start(w.t, h, Config{Light: light, Slices: &SliceConfig{Key: key, Router: of{w, h}, Record: w.record, Locate: w.locate, PerNetwork: topic.MaxMet}})
	if !light {
		w.mu.Lock()
		w.hosts = append(w.hosts, h)
		w.mu.Unlock()
	}
	return g
}

// saying signs a message of an author on alice's web/status.
func saying(t *testing.T, author, data string) []byte {
	t.Helper()
	key := keyOf(author)
	m, err := topic.Seal(topic.Message{Author: key.Principal(), Owner: keyOf("alice").Principal(), Slice: "web", Topic: "status",
		Made: noon.UnixMilli(), Data: []byte(data)}, key)
	if err != nil {
		t.Fatal(err)
	}
	return m.Bytes
}

// next waits for the next message of a subscription, and heard is what it says.
func next(t *testing.T, s *Subscription) Heard {
	t.Helper()
	select {
	case m := <-s.C:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is heard")
		return Heard{}
	}
}

func heard(t *testing.T, s *Subscription) string {
	t.Helper()
	return string(next(t, s).Data)
}

var status = topic.Name{Owner: keyOf("alice").Principal(), Slice: "web", Topic: "status"}

// Three subscribers who know nobody find one another at the topic's place, and
// hear, through a record that none of them had, who may be heard.
func TestSubscribersMeetAndHearWhoMay(t *testing.T) {
	w := &town{t: t, known: map[string]lease.OpenedSlice{}}
	for i := range 4 {
		w.node(fmt.Sprint("holder", i), false)
	}
	w.publish("alice", "web", 1, lease.Topic{Name: "status", Principals: []lease.Principal{keyOf("bob").Principal()}})
	a, b, v := w.node("a", false), w.node("b", false), w.node("visitor", true)
	var subs []*Subscription
	for _, g := range []*Gossip{a, b, v} {
		sub, err := g.Slices.Subscribe(t.Context(), status)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		subs = append(subs, sub)
	}
	neighbours := func(g *Gossip) int { return len(g.ps.ListPeers(status.String())) }
	for _, g := range []*Gossip{a, b, v} {
		wait(t, "the three are neighbours", func() bool { return neighbours(g) == 2 })
	}
	said, err := v.Slices.Publish(t.Context(), saying(t, "bob", "one"))
	if err != nil || said.Neighbours != 2 || said.Here != 1 {
		t.Errorf("said %+v, %v", said, err)
	}
	for i, s := range subs {
		if got := heard(t, s); got != "one" {
			t.Errorf("subscriber %d heard %q", i, got)
		}
	}
	var no *Unpublished
	if _, err := a.Slices.Publish(t.Context(), saying(t, "mallory", "two")); !errors.As(err, &no) || no.Reason != "unentitled" {
		t.Errorf("mallory: %v", err)
	}
	w.node("mallory", false) // speaks past her own checks
	m := w.node("liar", false)
	sub, err := m.Slices.Subscribe(t.Context(), status)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	wait(t, "the liar has neighbours", func() bool { return neighbours(m) == 3 })
	if err := m.Slices.open[status].handle.Publish(t.Context(), saying(t, "mallory", "three")); err != nil {
		t.Fatal(err)
	}
	wait(t, "it is ignored", func() bool { return a.Stats().Drops["ignore:unentitled"]+b.Stats().Drops["ignore:unentitled"] > 0 })
	for _, g := range []*Gossip{a, b} {
		if n := g.Slices.Moved(status).MessagesIn; n != 1 {
			t.Errorf("%d came in of one that was accepted", n) // what was not, nobody who hears it is to pay for
		}
	}
	if _, err := a.Slices.Publish(t.Context(), saying(t, "alice", "four")); err != nil {
		t.Fatal(err)
	}
	for i, s := range subs {
		if got := heard(t, s); got != "four" {
			t.Errorf("subscriber %d heard %q", i, got)
		}
	}
}

// Who publishes and does not subscribe finds the subscribers too.
func TestAPublisherFindsTheSubscribers(t *testing.T) {
	w := &town{t: t, known: map[string]lease.OpenedSlice{}}
	w.node("holder", false)
	g, p := w.node("g", false), w.node("p", true)
	sub, err := g.Slices.Subscribe(t.Context(), status)
	if err != nil {
		t.Fatal(err)
	}
	for said := false; !said; { // until the meeting has brought them together
		s, err := p.Slices.Publish(t.Context(), saying(t, "alice", time.Now().String()))
		if err != nil {
			t.Fatal(err)
		}
		said = s.Neighbours > 0
	}
	heard(t, sub)
	var no *Unpublished
	if _, err := p.Slices.Publish(t.Context(), saying(t, "bob", "x")); !errors.As(err, &no) || no.Reason != "unknown-slice" {
		t.Errorf("of a slice without a record: %v", err)
	}
	sub.Close()
	sub.Close()
	if n := g.Slices.meeting.Places(); n > 1 {
		t.Errorf("%d places", n)
	}
}

// A reader who is slow learns how much he missed, and a topic what it moved.
func TestSlowReadersAreTold(t *testing.T) {
	w := &town{t: t, known: map[string]lease.OpenedSlice{}}
	w.node("holder", false)
	a, b := w.node("a", false), w.node("b", false)
	w.publish("alice", "web", 1)
	slow, err := a.Slices.Subscribe(t.Context(), status)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for said := false; !said; { // until the two have met
		s, err := b.Slices.Publish(t.Context(), saying(t, "alice", time.Now().String()))
		if err != nil {
			t.Fatal(err)
		}
		said = s.Neighbours > 0
	}
	heard(t, slow)
	before, size := a.Slices.Moved(status), 0
	for i := range readerQueue + 3 {
		m := saying(t, "alice", fmt.Sprint("news ", i))
		size += len(m)
		if _, err := b.Slices.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "all came but for three, or a little more", func() bool { return a.Stats().Drops["queue:reader"] == 3 })
	for i := range readerQueue { // all that waited were there before the gap
		if m := next(t, slow); m.Missed != 0 || string(m.Data) != fmt.Sprint("news ", i) {
			t.Errorf("message %d: %q, after %d that it missed", i, m.Data, m.Missed)
		}
	}
	if _, err := b.Slices.Publish(t.Context(), saying(t, "alice", "after")); err != nil {
		t.Fatal(err)
	}
	if m := next(t, slow); m.Missed != 3 || string(m.Data) != "after" {
		t.Errorf("after the gap: %q, missed %d", m.Data, m.Missed)
	}
	after := a.Slices.Moved(status)
	if in := after.BytesIn - before.BytesIn; after.MessagesIn-before.MessagesIn < readerQueue+3 || in < uint64(size) || in > 2*uint64(size) {
		t.Errorf("%d bytes in, of messages of %d", in, size)
	}
	if m := a.Slices.Moved(topic.Name{Owner: status.Owner, Slice: "web", Topic: "other"}); m != (Traffic{}) {
		t.Errorf("of a topic that it is not on: %+v", m)
	}
}

// One peer cannot make us remember topics without end.
func TestSubscriptionsOfOnePeerAreBounded(t *testing.T) {
	s := newSubscriptions([]string{TopicCapacity}, func(id peer.ID) bool { return id != "gone" })
	if !s.CanSubscribe(TopicCapacity) || !s.CanSubscribe(status.String()) || s.CanSubscribe("slice/x") || s.CanSubscribe("other") {
		t.Error("topics are not told apart")
	}
	n := 0
	for i := range 3 * maxHisTopics {
		name := status
		name.Topic = fmt.Sprint("t", i)
		kept, err := s.FilterIncomingSubscriptions("peer", subscribe(name.String()))
		if err != nil {
			t.Fatal(err)
		}
		n += len(kept)
	}
	if n != maxHisTopics {
		t.Errorf("%d are kept, limit %d", n, maxHisTopics)
	}
	if kept, _ := s.FilterIncomingSubscriptions("peer", subscribe(TopicCapacity)); len(kept) != 1 {
		t.Error("a shared topic finds no room")
	}
	if kept, _ := s.FilterIncomingSubscriptions("gone", subscribe(status.String())); len(kept) != 0 || s.his["gone"] != nil {
		t.Error("one that is gone is remembered")
	}
	if kept, _ := s.FilterIncomingSubscriptions("another", subscribe(status.String())); len(kept) != 1 {
		t.Error("another peer finds no room")
	}
}

func subscribe(name string) []*pb.RPC_SubOpts {
	yes := true
	return []*pb.RPC_SubOpts{{Subscribe: &yes, Topicid: &name}}
}
