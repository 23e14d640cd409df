// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"croft/ebpf"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/door"
)

// topicsModel is topics with some neighbours, on which all is heard that is said.
type topicsModel struct {
	neighbours int
	people     int   // who hear here
	refuses    error // what is said

	mu      sync.Mutex
	said    []topic.Opened
	readers map[chan api.Heard]topic.Name
	in, out uint64
}

func (m *topicsModel) Say(_ context.Context, b []byte) (api.Said, error) {
	o, err := topic.Open(b)
	if err != nil {
		return api.Said{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses != nil {
		return api.Said{}, m.refuses
	}
	m.said = append(m.said, o)
	m.tell(o)
	return api.Said{ID: o.ID, Neighbours: m.neighbours}, nil
}

func (m *topicsModel) tell(o topic.Opened) {
	for c, name := range m.readers {
		if name == o.Name() {
			c <- api.Heard{ID: o.ID, Author: o.Author, Data: o.Data}
		}
	}
}

// comes is a message from a neighbour, passed on to the others.
func (m *topicsModel) comes(o topic.Opened) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in += uint64(len(o.Bytes))
	m.out += uint64((m.neighbours - 1) * len(o.Bytes))
	m.tell(o)
}

func (m *topicsModel) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		c := make(chan api.Heard, 16)
		m.mu.Lock()
		if m.readers == nil {
			m.readers = map[chan api.Heard]topic.Name{}
		}
		m.readers[c] = name
		m.mu.Unlock()
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.readers, c)
		}()
		ready()
		for {
			select {
			case h := <-c:
				if !yield(h, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (m *topicsModel) Reach(topic.Name) (neighbours, here int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.neighbours, len(m.readers) + m.people
}

func (m *topicsModel) Moved(topic.Name) (in, out uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.in, m.out
}

// onTopics is alice's sliver on a node that is on topics.
func onTopics(t *testing.T, f func(t *testing.T, h *hired, m *topicsModel, s shim)) {
	t.Helper()
	inOffice(t, func(t *testing.T, h *hired) {
		m := &topicsModel{neighbours: 3}
		h.d.deps.Topics = m
		f(t, h, m, newShim(h.d, door.Sliver{Name: h.sliver, Label: "ron", Owner: leasetest.Who("alice")}))
	})
}

// knows gives the node the record of a slice of bob's.
func (h *hired) knows(sequence uint64, topics ...lease.Topic) {
	h.t.Helper()
	now := h.d.deps.Clock.Wall()
	bob := leasetest.Key("bob")
	r, err := lease.SealSlice(lease.SliceRecord{Owner: bob.Principal(), Slice: "web", Sequence: sequence, Made: now.Unix(), Until: now.Unix() + 3600,
		Nodes: []lease.Principal{leasetest.Who("node")}, Topics: topics}, bob)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.d.slices.put(r, false, now); err != nil {
		h.t.Fatal(err)
	}
	h.d.slices.asked(keyOf(r), now)
}

// The node signs for a sliver: on its slice's topics, which the network judges, and on
// another slice's only where anybody may, though the record lets this very node.
func TestASliverPublishesByItsSlicesRights(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		for range 2 { // the same again, in the same instant, is another message
			if said, err := s.Publish(t.Context(), topic.Name{Topic: "load"}, []byte("x")); err != nil || said.Neighbours != 3 {
				t.Fatalf("%+v, %v", said, err)
			}
		}
		if len(m.said) != 2 || m.said[0].ID == m.said[1].ID || m.said[0].Author != leasetest.Who("node") || m.said[0].Name() != (topic.Name{Owner: leasetest.Who("alice"), Slice: "ron", Topic: "load"}) {
			t.Errorf("said %+v", m.said)
		}
		name := topic.Name{Owner: leasetest.Who("bob"), Slice: "web", Topic: "wishes"}
		if _, err := s.Publish(t.Context(), name, nil); !errors.Is(err, api.ErrNoRecord) {
			t.Errorf("no record: %v", err)
		}
		h.knows(1, lease.Topic{Name: "wishes", Publishers: lease.BySlivers, Principals: []lease.Principal{leasetest.Who("node")}})
		if _, err := s.Publish(t.Context(), name, nil); !errors.Is(err, api.ErrNotGranted) {
			t.Errorf("for bob's slivers: %v", err)
		}
		h.knows(2, lease.Topic{Name: "wishes", Publishers: lease.ByAnybody})
		if _, err := s.Publish(t.Context(), name, nil); err != nil {
			t.Errorf("for anybody: %v", err)
		}
		name.Topic = "other"
		if _, err := s.Publish(t.Context(), name, nil); !errors.Is(err, api.ErrNotGranted) {
			t.Errorf("a topic that the record does not name: %v", err)
		}
		if _, err := s.Say(t.Context(), []byte("nonsense")); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("nonsense: %v", err)
		}
		if _, err := s.Say(t.Context(), aliceSays(t, h, "hello").Bytes); err != nil {
			t.Errorf("what alice signed: %v", err)
		}
	})
}

func aliceSays(t *testing.T, h *hired, data string) topic.Opened {
	t.Helper()
	alice := leasetest.Key("alice")
	o, err := topic.Seal(topic.Message{Author: alice.Principal(), Owner: alice.Principal(), Slice: "ron", Topic: "load", Made: h.d.deps.Clock.Wall().UnixMilli(), Data: []byte(data)}, alice)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// listener hears a topic beside the test.
type listener struct {
	stop  func()
	heard chan string
	over  chan error
}

func (s shim) listensTo(t *testing.T, name string) *listener {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &listener{stop: stop, heard: make(chan string, 64), over: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		for m, err := range s.Hear(ctx, topic.Name{Topic: name}, func() { close(ready) }) {
			if err != nil {
				l.over <- err
				return
			}
			l.heard <- string(m.Data)
		}
		l.over <- nil
	}()
	select {
	case <-ready:
	case err := <-l.over:
		l.over <- err
	}
	return l
}

// What the node moves on topics for a sliver is its lease's: what it says, once for
// each neighbour, and of what comes and is passed on its share.
func TestTopicsAreCharged(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		charged := func(d ebpf.Direction) uint64 {
			h.m.mu.Lock()
			defer h.m.mu.Unlock()
			return h.m.charged[h.sliver+" publish "+d.String()]
		}
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "load"}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		said := uint64(3 * len(m.said[0].Bytes))
		if in, out := charged(ebpf.Ingress), charged(ebpf.Egress); out != seekCost+said || in != seekCost {
			t.Errorf("charged %d in and %d out for a topic that is joined and a message that is %d to all", in, out, said)
		}
		a, b := s.listensTo(t, "load"), s.listensTo(t, "load")
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "load"}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		<-a.heard
		<-b.heard
		if got := charged(ebpf.Egress); got != seekCost+2*said {
			t.Errorf("charged %d out for two messages of %d: what was paid is charged again", got, said)
		}
		o := aliceSays(t, h, "hello")
		m.comes(o)
		<-a.heard
		<-b.heard
		a.stop()
		b.stop()
		if err := errors.Join(<-a.over, <-b.over); err != nil {
			t.Error(err)
		}
		if in, out := charged(ebpf.Ingress)-seekCost, charged(ebpf.Egress)-seekCost-2*said; in < uint64(len(o.Bytes)) || in > uint64(len(o.Bytes))+1 || out < uint64(2*len(o.Bytes)) || out > uint64(2*len(o.Bytes))+1 {
			t.Errorf("%d in and %d out of a message of %d to two more", in, out, len(o.Bytes))
		}
	})
}

// Who is refused pays nothing in the end, and people who hear bear their share.
func TestWhatIsNotSentIsGivenBack(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		m.refuses = api.ErrNotGranted
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "load"}, make([]byte, 1000)); !errors.Is(err, api.ErrNotGranted) {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.refuses, m.people = nil, 1
		m.mu.Unlock()
		l := s.listensTo(t, "load")
		o := aliceSays(t, h, "hello")
		m.comes(o)
		<-l.heard
		h.m.pass(2 * settleEvery) // it pays as it goes
		l.stop()
		<-l.over
		h.m.mu.Lock()
		in := h.m.charged[h.sliver+" publish "+ebpf.Ingress.String()]
		h.m.mu.Unlock()
		if half := uint64(len(o.Bytes)+1) / 2; in != seekCost+half {
			t.Errorf("charged %d in, and had to be half of %d, which a person hears too", in-seekCost, len(o.Bytes))
		}
		if d := h.d.airtime.debts[h.sliver]; d.in != 0 || d.out >= 0 {
			t.Errorf("it owes %d and %d: what was refused is not given back", d.in, d.out)
		}
	})
}

// What could not be paid is owed still, and nothing is said or heard before.
func TestWhoOwesIsHeldToIt(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		h.m.mu.Lock()
		paying := h.m.guards[h.sliver]
		broke := paying
		broke.Egress, broke.Ingress = ebpf.Way{}, ebpf.Way{}
		h.m.mu.Unlock()
		become := func(l ebpf.Limits) {
			h.m.mu.Lock()
			defer h.m.mu.Unlock()
			h.m.guards[h.sliver] = l
			clear(h.m.meters)
		}
		l := s.listensTo(t, "load")
		become(broke)
		m.comes(aliceSays(t, h, "hello"))
		if err := <-l.over; !errors.Is(err, api.ErrNoRoom) { // though it reads nothing
			t.Errorf("it hears on: %v", err)
		}
		if err := <-s.listensTo(t, "load").over; !errors.Is(err, api.ErrNoRoom) {
			t.Errorf("it hears again, and owes: %v", err)
		}
		become(paying)
		l = s.listensTo(t, "load")
		l.stop()
		if err := <-l.over; err != nil {
			t.Errorf("when it pays: %v", err)
		}
		if d := h.d.airtime.debts[h.sliver]; d.in != 0 || d.out != 0 {
			t.Errorf("it owes %d and %d", d.in, d.out)
		}
	})
}

// A lease without room has nothing said, and hears no more.
func TestTopicsKeepToTheLease(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		l := s.listensTo(t, "load")
		h.m.mu.Lock()
		limits := h.m.guards[h.sliver]
		limits.Egress, limits.Ingress = ebpf.Way{}, ebpf.Way{}
		h.m.guards[h.sliver] = limits
		clear(h.m.meters)
		h.m.mu.Unlock()
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "load"}, []byte("x")); !errors.Is(err, api.ErrNoRoom) || len(m.said) != 0 {
			t.Errorf("said %d, %v", len(m.said), err)
		}
		m.comes(aliceSays(t, h, "hello"))
		if err := <-l.over; !errors.Is(err, api.ErrNoRoom) {
			t.Errorf("it hears on: %v", err)
		}
	})
}

// Nobody fills the node with topics, subscriptions or messages.
func TestASliversTopicsAreBounded(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, m *topicsModel, s shim) {
		var all []*listener
		for range maxSliverHears {
			all = append(all, s.listensTo(t, "load"))
		}
		if err := <-s.listensTo(t, "load").over; !errors.Is(err, api.ErrBusy) {
			t.Errorf("one subscription more: %v", err)
		}
		for _, l := range all {
			l.stop()
			<-l.over
		}
		for i := range maxSliverTopics - 1 {
			if _, err := s.Publish(t.Context(), topic.Name{Topic: fmt.Sprint("t", i)}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "more"}, nil); !errors.Is(err, api.ErrBusy) {
			t.Errorf("one topic more: %v", err)
		}
		h.m.pass(topicLinger + time.Second)
		if _, err := s.Publish(t.Context(), topic.Name{Topic: "more"}, nil); err != nil {
			t.Errorf("when the others were idle: %v", err)
		}
		refused := 0
		for range shimSayBurst + 1 {
			if _, err := s.Publish(t.Context(), topic.Name{Topic: "more"}, nil); errors.Is(err, api.ErrBusy) {
				refused++
			}
		}
		if refused == 0 {
			t.Error("it says as much as it likes")
		}
		now := time.Now()
		for i := range topic.MaxJoined {
			err := h.d.airtime.use(user{fmt.Sprint("s", i/maxSliverTopics), leasetest.Who(fmt.Sprint("o", i/maxOwnerTopics))}, topic.Name{Topic: fmt.Sprint("u", i)}, now)
			if full := i >= maxShimTopics-1; full != errors.Is(err, api.ErrBusy) {
				t.Fatalf("topic %d: %v", i, err)
			}
		}
	})
}

// Who runs many slivers has a quarter of the topics, and leaves the others to others.
func TestOneOwnersTopicsAreBounded(t *testing.T) {
	c := newAirtime(nil)
	alice, bob := leasetest.Who("alice"), leasetest.Who("bob")
	now := time.Now()
	use := func(sliver string, owner lease.Principal, topics ...int) (err error) {
		for _, n := range topics {
			err = errors.Join(err, c.use(user{sliver, owner}, topic.Name{Owner: owner, Topic: fmt.Sprint("t", n)}, now))
		}
		return err
	}
	if err := errors.Join(use("a", alice, 0, 1, 2, 3, 4, 5, 6, 7), use("b", alice, 8, 9, 10, 11)); err != nil {
		t.Fatal(err)
	}
	if err := use("b", alice, 12); !errors.Is(err, api.ErrBusy) {
		t.Errorf("topic 13 of alice's slivers: %v", err)
	}
	if err := errors.Join(use("b", alice, 0, 1, 2), use("c", bob, 0, 1, 2, 3, 4, 5, 6, 7)); err != nil {
		t.Errorf("those that her slivers use already, and bob's: %v", err)
	}
	now = now.Add(topicLinger + time.Second)
	if err := use("b", alice, 12); err != nil {
		t.Errorf("when the others were idle: %v", err)
	}
}

// A lease is followed: it is told as it stands, when it is renewed, and ends.
func TestALeaseIsFollowed(t *testing.T) {
	onTopics(t, func(t *testing.T, h *hired, _ *topicsModel, s shim) {
		told, over := make(chan api.OwnLease, 8), make(chan struct{})
		go func() {
			defer close(over)
			for l, err := range s.OwnLeases(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				told <- l
			}
		}()
		first := <-told
		newPerson(t, "bob").run(h.life, "b", time.Hour) // the books change, and not for this one
		h.m.pass(time.Minute)
		if len(told) != 0 {
			t.Error("what is others' is told")
		}
		alice := newPerson(t, "alice")
		held, err := alice.hold(h.life, alice.wish("again", time.Now(), 2*time.Hour, "cpu=100,memory=64MiB,pids=8,egress.rate=1mbit,egress.packets=100", first.Lease))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := alice.commit(h.life, held); err != nil {
			t.Fatal(err)
		}
		if l := <-told; l.Until <= first.Until || l.State != "active" {
			t.Errorf("renewed, and told %+v after %+v", l, first)
		}
		h.m.pass(3 * time.Hour)
		<-over
	})
}
