// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/gossip/topic"
	"croft/node/api"
)

// SliceTopics are the topics of slices, as this node hears and carries them.
type SliceTopics interface {
	api.Topics
	// Moved is what came and was passed on, on a topic that this node is on, in bytes.
	Moved(name topic.Name) (in, out uint64)
	// Reach is how many neighbours a topic has, and how many hear it here.
	Reach(name topic.Name) (neighbours, here int)
}

// topic is the topic that a sliver means: without an owner one of its slice.
func (s shim) topic(name topic.Name) topic.Name {
	if name.Owner.IsZero() {
		name.Owner, name.Slice = s.who.Owner, s.who.Label
	}
	return name
}

// own reports whether a topic is of the sliver's slice.
func (s shim) own(name topic.Name) bool {
	return name.Owner == s.who.Owner && name.Slice == s.who.Label
}

// Publish says something for the sliver with the node's signature. On a topic of its
// own slice it may where the record lets slivers publish, which everybody who hears
// it checks; on one of another slice where anybody may: the node signs for many, and
// what a record lets this node do is for that slice's own sliver here.
func (s shim) Publish(ctx context.Context, name topic.Name, data []byte) (api.Said, error) {
	name = s.topic(name)
	if err := s.speak(); err != nil {
		return api.Said{}, err
	}
	if !s.own(name) {
		if err := s.open(ctx, name); err != nil {
			return api.Said{}, err
		}
	}
	key := s.d.deps.Key
	m, err := topic.Seal(topic.Message{Author: key.Principal(), Owner: name.Owner, Slice: name.Slice, Topic: name.Topic, Made: s.d.stamp.Next(s.d.deps.Clock.Wall()), Data: data}, key)
	if err != nil {
		return api.Said{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return s.say(ctx, m)
}

// Say tells a message that somebody signed: its author's rights count.
func (s shim) Say(ctx context.Context, message []byte) (api.Said, error) {
	if err := s.speak(); err != nil {
		return api.Said{}, err
	}
	m, err := topic.Open(message)
	if err != nil {
		return api.Said{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return s.say(ctx, m)
}

// speak is an error where a sliver publishes more often than it may.
func (s shim) speak() error {
	if s.d.deps.Topics == nil {
		return fmt.Errorf("%w: this node is on no topics", api.ErrUnreachable)
	}
	if !s.says.Allow() {
		return fmt.Errorf("%w: %d messages at once, and %d a second", api.ErrBusy, shimSayBurst, shimSays)
	}
	return nil
}

// say pays for a message as often as it is sent: before, for as many neighbours as are
// known. What turns out otherwise goes to what the sliver owes: who is refused has it
// back, and a message that is out is told as such.
func (s shim) say(ctx context.Context, m topic.Opened) (api.Said, error) {
	if err := s.enter(ctx, m.Name()); err != nil {
		return api.Said{}, err
	}
	neighbours, _ := s.d.deps.Topics.Reach(m.Name())
	copies := max(1, neighbours)
	if err := s.pay(ctx, ebpf.Egress, copies*len(m.Bytes)); err != nil {
		return api.Said{}, err
	}
	said, err := s.d.deps.Topics.Say(ctx, m.Bytes)
	if err != nil {
		s.d.airtime.owe(s.who.Name, 0, -copies*len(m.Bytes))
		return said, err
	}
	s.d.airtime.owe(s.who.Name, 0, (said.Neighbours-copies)*len(m.Bytes))
	s.settleLast(ctx)
	return said, nil
}

// enter takes a place for the sliver on a topic, if it owes nothing. Each that the node
// is not on for slivers yet has it look for the others.
func (s shim) enter(ctx context.Context, name topic.Name) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	if s.d.airtime.on(name) {
		return s.d.airtime.use(s.user(), name, time.Now())
	}
	if !s.finds.Allow() {
		return fmt.Errorf("%w: this sliver has too many topics joined", api.ErrBusy)
	}
	if err := s.d.airtime.use(s.user(), name, time.Now()); err != nil {
		return err
	}
	return s.paySeeking(ctx)
}

// paySeeking charges a walk on the DHT, which the node is about to make for the sliver.
func (s shim) paySeeking(ctx context.Context) error {
	s.d.airtime.owe(s.who.Name, seekCost, seekCost)
	return s.settle(ctx)
}

func (s shim) user() user { return user{s.who.Name, s.who.Owner} }

// pay charges what the node moves on topics for the sliver.
func (s shim) pay(ctx context.Context, d ebpf.Direction, n int) error {
	ctx, cancel := context.WithTimeout(ctx, payLimit)
	defer cancel()
	err := s.d.meter(s.who.Name, ebpf.ChannelPublish).Pay(ctx, d, n)
	switch {
	case errors.Is(err, pace.ErrNever), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", api.ErrNoRoom, err)
	case errors.Is(err, ebpf.ErrNotAttached):
		return fmt.Errorf("%w: %w", api.ErrNotRunning, err)
	}
	return err
}

// settle pays what the sliver owes. What it cannot pay it goes on owing.
func (s shim) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, payLimit)
	defer cancel()
	d, err := s.d.airtime.collect(ctx, s.user())
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrNoRoom, err)
	}
	defer d.release()
	for {
		way, n := s.d.airtime.next(d)
		if n == 0 {
			return nil
		}
		if err := s.pay(ctx, way, n); err != nil {
			return err
		}
		s.d.airtime.paid(d, way, n)
	}
}

// settleLast is settle for who waits for something else, or has gone: what there is.
func (s shim) settleLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPayLimit)
	defer cancel()
	_ = s.settle(ctx) // else before it says or hears anything again
}

// open is an error unless anybody may publish on a topic.
func (s shim) open(ctx context.Context, name topic.Name) error {
	k := sliceKey{name.Owner, name.Slice}
	now := s.d.deps.Clock.Wall()
	r, known, fresh := s.d.slices.get(k, now.Add(-foreignFresh))
	if !fresh {
		if !s.finds.Allow() { // each is a walk on the DHT
			return fmt.Errorf("%w: this sliver has too many records looked up", api.ErrBusy)
		}
		if err := s.paySeeking(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, recordWait)
		defer cancel()
		s.d.lookUp(ctx, k)
		r, known, _ = s.d.slices.get(k, now)
	}
	switch {
	case !known || !r.Holds(now.Unix()):
		return fmt.Errorf("slice %q@%s: %w", name.Slice, name.Owner.Short(), api.ErrNoRecord)
	case !r.AnybodyMay(name.Topic):
		return fmt.Errorf("%w publish on this topic: of another slice a sliver may where anybody may", api.ErrNotGranted)
	}
	return nil
}

// Hear subscribes for the sliver. Anybody may. It pays while it lasts, whether the sliver
// reads or not, and ends at once where it cannot.
func (s shim) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		name := s.topic(name)
		h, err := s.listen(ctx, name)
		if err != nil {
			yield(api.Heard{}, err)
			return
		}
		within, end := context.WithCancelCause(ctx)
		var beside sync.WaitGroup
		defer func() {
			s.d.airtime.leave(name, h, time.Now())
			end(nil)
			beside.Wait()
			s.settleLast(ctx)
		}()
		beside.Go(func() { end(s.paying(within)) })
		heard := make(chan spoken)
		joined := make(chan struct{})
		beside.Go(func() { // who does not read keeps the node on the topic no longer than it pays
			defer close(heard)
			for m, err := range s.d.deps.Topics.Hear(within, name, func() { close(joined) }) {
				select {
				case heard <- spoken{m, err}:
				case <-within.Done():
					return
				}
			}
		})
		for {
			select {
			case <-joined:
				ready()
				joined = nil
			case m, more := <-heard:
				if !more || within.Err() != nil {
					if err := context.Cause(within); ctx.Err() == nil && err != nil {
						yield(api.Heard{}, err)
					}
					return
				}
				select {
				case <-joined: // both came at once
					ready()
					joined = nil
				default:
				}
				if !yield(m.Heard, m.err) {
					return
				}
			}
		}
	}
}

// spoken is what a subscription yields.
type spoken struct {
	api.Heard
	err error
}

// paying settles now and then, and returns why that is over.
func (s shim) paying(ctx context.Context) error {
	t := time.NewTicker(settleEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := s.settle(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen begins a subscription.
func (s shim) listen(ctx context.Context, name topic.Name) (*hearer, error) {
	if err := s.may(1); err != nil {
		return nil, err
	}
	if s.d.deps.Topics == nil {
		return nil, fmt.Errorf("%w: this node is on no topics", api.ErrUnreachable)
	}
	if err := s.d.airtime.mayHear(s.user()); err != nil {
		return nil, err
	}
	if err := s.enter(ctx, name); err != nil {
		return nil, err
	}
	return s.d.airtime.hear(s.user(), name)
}
