// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ps "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"croft/gossip"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/judge"
)

// Router finds the peers closest to a key, nearest first, this one not among them.
type Router interface {
	Closest(ctx context.Context, key []byte, n int) ([]peer.AddrInfo, error)
}

// SliceConfig is what the topics of slices need of the rest of a node.
type SliceConfig struct {
	Key    lease.Signer // the node's
	Router Router
	// Record looks a slice's newest record up, and Locate a node's addresses.
	Record func(ctx context.Context, owner lease.Principal, slice string) (lease.OpenedSlice, error)
	Locate func(ctx context.Context, node lease.Principal) (peer.AddrInfo, error)
	// Dialable keeps of a stranger's addresses those that may be dialled; nil: all.
	Dialable   func([]multiaddr.Multiaddr) []multiaddr.Multiaddr
	PerNetwork int // see topic.NewMeeting
}

// Slices are the topics of slices. Its methods may be called at once.
type Slices struct {
	g   *Gossip
	cfg SliceConfig
	ctx context.Context

	mu      sync.Mutex
	hub     *topic.Hub
	meeting *topic.Meeting
	open    map[topic.Name]*openTopic
	changed chan struct{} // closed when a record is told

	fetches chan struct{} // slots
}

// openTopic is one that somebody here uses, or did until a moment ago.
type openTopic struct {
	name    topic.Name
	handle  *ps.Topic
	users   int
	closes  *time.Timer // when nobody has used it for a while
	stop    context.CancelFunc
	unrelay ps.RelayCancelFunc
	readers map[*Subscription]struct{}
	met     map[peer.ID]bool // whose connections are kept for it
}

// Unpublished says why a message was not published: the node would not take it
// from others either.
type Unpublished gossip.Verdict

func (e *Unpublished) Error() string { return "message not published: " + string(e.Reason) }

// Subscription is what is said on a topic from now on. C is closed with it.
type Subscription struct {
	C <-chan Heard

	c      chan Heard
	missed uint64 // since the last that was put in, with the mu of s
	s      *Slices
	t      *openTopic
}

// Heard is a message, and how many right before it found the reader too slow.
type Heard struct {
	topic.Opened
	Missed uint64
}

// Said is what became of a message.
type Said struct {
	ID         lease.ID `json:"id"`
	Neighbours int      `json:"neighbours"` // subscribers that were told at once
	Here       int      `json:"here"`       // subscribers at this node
}

func newSlices(ctx context.Context, g *Gossip, cfg SliceConfig) *Slices {
	return &Slices{g: g, cfg: cfg, ctx: ctx, hub: topic.NewHub(), meeting: topic.NewMeeting(cfg.PerNetwork),
		open: map[topic.Name]*openTopic{}, changed: make(chan struct{}), fetches: make(chan struct{}, maxFetches)}
}

// joinSlices makes the topics of slices ready, if they are carried.
func (g *Gossip) joinSlices(ctx context.Context) {
	gone := g.subscriptions.gone()
	g.cfg.Host.Network().Notify(gone)
	g.left = func() { g.cfg.Host.Network().StopNotify(gone) }
	if g.cfg.Slices == nil {
		return
	}
	g.Slices = newSlices(ctx, g, *g.cfg.Slices)
	if !g.cfg.Light {
		g.cfg.Host.SetStreamHandler(ProtocolMeeting, g.Slices.hold)
	}
}

// Subscribe hears a topic until the subscription is closed. The others hear of it
// when the slice's record has been looked up: a message that came before would be
// ignored, and come no more. A reader who is slower than the topic misses messages,
// which is counted.
func (s *Slices) Subscribe(ctx context.Context, name topic.Name) (*Subscription, error) {
	s.mu.Lock()
	t, err := s.enter(name)
	s.mu.Unlock()
	if err == nil {
		s.await(ctx, name)
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.unrelay == nil { // from now on the others forward to us
			if t.unrelay, err = t.handle.Relay(); err != nil {
				s.exit(t)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", name, err)
	}
	sub := &Subscription{c: make(chan Heard, readerQueue), s: s, t: t}
	sub.C = sub.c
	t.readers[sub] = struct{}{}
	return sub, nil
}

// await returns when no record is looked up by which a topic's messages are judged.
func (s *Slices) await(ctx context.Context, name topic.Name) {
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	for {
		s.mu.Lock()
		changed, awaits := s.changed, s.hub.Awaits(name)
		s.mu.Unlock()
		if !awaits {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	sub.s.mu.Lock()
	defer sub.s.mu.Unlock()
	if _, ok := sub.t.readers[sub]; !ok {
		return
	}
	delete(sub.t.readers, sub)
	close(sub.c)
	sub.s.exit(sub.t)
}

// Publish tells the subscribers of a topic a signed message. It is judged here as
// it will be there: the slice's record is looked up, and waited for, if it is not
// known. With nobody there to hear it, that is no error.
func (s *Slices) Publish(ctx context.Context, message []byte) (Said, error) {
	m, err := topic.Open(message)
	if err != nil {
		j, reason := judge.OfBytes(err, judge.Malformed)
		return Said{}, fmt.Errorf("%w: %w", &Unpublished{Judgement: j, Reason: reason}, err)
	}
	s.mu.Lock()
	t, err := s.enter(m.Name())
	s.mu.Unlock()
	if err != nil {
		return Said{}, fmt.Errorf("publishing on %s: %w", m.Name(), err)
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.exit(t)
	}()
	if err := s.take(ctx, m); err != nil {
		return Said{}, fmt.Errorf("publishing on %s: %w", m.Name(), err)
	}
	s.someone(ctx, t)
	s.g.counts.says(message)
	if err := t.handle.Publish(ctx, message); err != nil {
		return Said{}, fmt.Errorf("publishing on %s: %w", m.Name(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Said{ID: m.ID, Neighbours: len(t.handle.ListPeers()), Here: len(t.readers)}, nil
}

// take has the hub judge a message of this node's. Where that wants a record looked
// up, it waits for it, and asks again.
func (s *Slices) take(ctx context.Context, m topic.Opened) error {
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	for {
		s.mu.Lock()
		changed := s.changed
		v := s.step(topic.Local{Bytes: m.Bytes})
		fetching := s.hub.Awaits(m.Name())
		s.mu.Unlock()
		switch {
		case v.Judgement == judge.Accept:
			return nil
		case !fetching:
			return (*Unpublished)(&v)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return (*Unpublished)(&v)
		}
	}
}

// someone waits a little until a neighbour is on the topic.
func (s *Slices) someone(ctx context.Context, t *openTopic) {
	events, err := t.handle.EventHandler()
	if err != nil {
		return
	}
	defer events.Cancel()
	ctx, cancel := context.WithTimeout(ctx, neighbourWait)
	defer cancel()
	for len(t.handle.ListPeers()) == 0 {
		if _, err := events.NextPeerEvent(ctx); err != nil {
			return
		}
	}
}

// enter joins a topic, or uses one that is joined. It is called with mu held.
func (s *Slices) enter(name topic.Name) (*openTopic, error) {
	if t := s.open[name]; t != nil {
		t.users++
		t.closes.Stop()
		return t, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if v := s.step(topic.Join{Name: name}); v.Judgement != judge.Accept {
		return nil, fmt.Errorf("%s: %w", gossip.Verdict(v), ErrRefused)
	}
	t := &openTopic{name: name, users: 1, readers: map[*Subscription]struct{}{}, met: map[peer.ID]bool{}}
	err := s.g.ps.RegisterTopicValidator(name.String(), s.validator(name), ps.WithValidatorInline(true))
	if err == nil {
		if t.handle, err = s.g.ps.Join(name.String()); err != nil {
			err = errors.Join(err, s.g.ps.UnregisterTopicValidator(name.String()))
		}
	}
	if err != nil {
		s.step(topic.Leave{Name: name})
		return nil, err
	}
	if err := t.handle.SetScoreParams(topicScore()); err != nil {
		s.g.cfg.Log.Warn("a topic's neighbours are not scored", "topic", name, "err", err)
	}
	ctx, stop := context.WithCancel(s.ctx)
	t.stop = stop
	t.closes = time.AfterFunc(time.Hour, func() { s.shut(t) })
	t.closes.Stop()
	s.open[name] = t
	s.g.counts.follow(name.String())
	s.g.loops.Go(func() { s.meet(ctx, t) })
	return t, nil
}

// exit is one user less. The topic stays open for a while: who publishes now and
// then need not find the others each time. It is called with mu held.
func (s *Slices) exit(t *openTopic) {
	if t.users--; t.users > 0 {
		return
	}
	t.closes.Reset(lingerOpen)
	if t.unrelay != nil {
		t.unrelay()
		t.unrelay = nil
	}
}

// shut leaves a topic that nobody came back to.
func (s *Slices) shut(t *openTopic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users > 0 || s.open[t.name] != t {
		return
	}
	delete(s.open, t.name)
	s.g.counts.unfollow(t.name.String())
	t.stop()
	for id := range t.met {
		s.g.cfg.Host.ConnManager().UntagPeer(id, t.name.String())
	}
	s.step(topic.Leave{Name: t.name})
	if err := errors.Join(t.handle.Close(), s.g.ps.UnregisterTopicValidator(t.name.String())); err != nil && s.ctx.Err() == nil {
		s.g.cfg.Log.Warn("a topic is not left whole", "topic", t.name, "err", err)
	}
}

// step applies an input and does what it wants. It is called with mu held.
func (s *Slices) step(in topic.Input) (v topic.Verdict) {
	for _, e := range s.hub.Step(s.g.cfg.Now(), in) {
		switch e := e.(type) {
		case topic.Verdict:
			v = e
		case topic.Fetch:
			s.fetch(e)
		case topic.Delivered:
			s.deliver(e.Message)
		}
	}
	return v
}

func (s *Slices) deliver(m topic.Opened) {
	t := s.open[m.Name()]
	if t == nil {
		return
	}
	for sub := range t.readers {
		select {
		case sub.c <- Heard{m, sub.missed}:
			sub.missed = 0
		default:
			sub.missed++
			s.g.counts.add("queue:reader")
		}
	}
}

// fetch looks a record up beside whatever goes on, if not too many are. It is
// called with mu held.
func (s *Slices) fetch(e topic.Fetch) {
	select {
	case s.fetches <- struct{}{}:
	default:
		s.g.counts.add("queue:record")
		s.hub.Step(s.g.cfg.Now(), topic.Unfound(e))
		return
	}
	s.g.loops.Go(func() {
		defer func() { <-s.fetches }()
		ctx, cancel := context.WithTimeout(s.ctx, recordWait)
		defer cancel()
		r, err := s.cfg.Record(ctx, e.Owner, e.Slice)
		if err != nil {
			s.g.cfg.Log.Debug("no record of a slice whose topic is used", "owner", e.Owner, "slice", e.Slice, "err", err)
			s.tell(topic.Unfound(e))
			return
		}
		s.tell(topic.Known{Record: r})
	})
}

// Moved is what this node took from others on a topic since it joined it, each message
// that it accepted once, and what it passed on of that; nothing for one that it is not on.
func (s *Slices) Moved(name topic.Name) Traffic { return s.g.counts.moved(name.String()) }

// Reach is how many subscribers a topic has: neighbours, and readers at this node.
func (s *Slices) Reach(name topic.Name) (neighbours, here int) {
	s.mu.Lock()
	t := s.open[name]
	if t != nil {
		here = len(t.readers)
	}
	s.mu.Unlock()
	if t != nil {
		neighbours = len(t.handle.ListPeers())
	}
	return neighbours, here
}

// Done is closed when the node leaves all topics.
func (s *Slices) Done() <-chan struct{} { return s.ctx.Done() }

// tell takes what a look-up found to account; who waits for it looks again.
func (s *Slices) tell(in topic.Input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step(in)
	close(s.changed)
	s.changed = make(chan struct{})
}

// validator judges what comes on one topic.
func (s *Slices) validator(name topic.Name) ps.ValidatorEx {
	return func(_ context.Context, from peer.ID, m *ps.Message) ps.ValidationResult {
		if from == s.g.cfg.Host.ID() {
			return ps.ValidationAccept // Publish has had it judged
		}
		s.mu.Lock()
		v := s.step(topic.Received{Name: name, Bytes: m.Data})
		s.mu.Unlock()
		if v.Judgement == judge.Accept {
			s.g.counts.accepted(name.String(), proto.Size(m.Message))
		}
		return s.g.result(gossip.Verdict(v))
	}
}
