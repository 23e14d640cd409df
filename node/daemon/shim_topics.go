// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/gossip/topic"
	"croft/node/api"
)

// SliceTopics are the topics of slices, as this node hears and carries them.
type SliceTopics interface {
	api.Topics
	// Moved is what went each way on a topic that this node is on, in bytes.
	Moved(name topic.Name) (in, out uint64)
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
	m, err := topic.Seal(topic.Message{Author: key.Principal(), Owner: name.Owner, Slice: name.Slice, Topic: name.Topic, Made: s.d.made(), Data: data}, key)
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

// say pays for a message as often as it is sent: before, to as many neighbours as the
// last one, and once at the least; for more of them when it is known how many there are.
func (s shim) say(ctx context.Context, m topic.Opened) (api.Said, error) {
	if err := s.d.airtime.use(s.who.Name, m.Name(), time.Now()); err != nil {
		return api.Said{}, err
	}
	copies := max(1, s.d.airtime.neighbours(m.Name()))
	if err := s.pay(ctx, ebpf.Egress, copies*len(m.Bytes)); err != nil {
		return api.Said{}, err
	}
	said, err := s.d.deps.Topics.Say(ctx, m.Bytes)
	if err != nil {
		return said, err
	}
	s.d.airtime.said(m.Name(), said.Neighbours, len(m.Bytes))
	return said, s.pay(ctx, ebpf.Egress, (said.Neighbours-copies)*len(m.Bytes))
}

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

// open is an error unless anybody may publish on a topic.
func (s shim) open(ctx context.Context, name topic.Name) error {
	k := sliceKey{name.Owner, name.Slice}
	now := s.d.deps.Clock.Wall()
	r, known, fresh := s.d.slices.get(k, now.Add(-foreignFresh))
	if !fresh {
		if !s.finds.Allow() { // each is a walk on the DHT
			return fmt.Errorf("%w: this sliver has too many records looked up", api.ErrBusy)
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

// Hear subscribes for the sliver. Anybody may.
func (s shim) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		name := s.topic(name)
		h, err := s.listen(name)
		if err != nil {
			yield(api.Heard{}, err)
			return
		}
		defer func() {
			in, out := s.d.airtime.leave(name, h, time.Now())
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPayLimit)
			defer cancel()
			_ = s.owe(ctx, in, out) // of who has gone, what there is
		}()
		for m, err := range s.d.deps.Topics.Hear(ctx, name, ready) {
			if err == nil {
				err = s.settle(ctx, name, h)
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(api.Heard{}, err)
				}
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// listen begins a subscription.
func (s shim) listen(name topic.Name) (*hearer, error) {
	if err := s.may(1); err != nil {
		return nil, err
	}
	if s.d.deps.Topics == nil {
		return nil, fmt.Errorf("%w: this node is on no topics", api.ErrUnreachable)
	}
	if err := s.d.airtime.use(s.who.Name, name, time.Now()); err != nil {
		return nil, err
	}
	return s.d.airtime.hear(s.who.Name, name)
}

// owe2 pays what a subscription owes.
func (s shim) settle(ctx context.Context, name topic.Name, h *hearer) error {
	in, out := s.d.airtime.due(name, h)
	return s.owe(ctx, in, out)
}

func (s shim) owe(ctx context.Context, in, out int) error {
	if err := s.pay(ctx, ebpf.Ingress, in); err != nil {
		return err
	}
	return s.pay(ctx, ebpf.Egress, out)
}

// made is the time of a message that this node signs, in Unix milliseconds: each is of
// another, so that what is said twice is two messages.
func (d *Daemon) made() int64 {
	for {
		last, now := d.lastMade.Load(), d.deps.Clock.Wall().UnixMilli()
		if now <= last && last-now < time.Second.Milliseconds() { // a clock that was set back is believed
			now = last + 1
		}
		if d.lastMade.CompareAndSwap(last, now) {
			return now
		}
	}
}
