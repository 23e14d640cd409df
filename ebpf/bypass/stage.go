// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"croft/ebpf"
	slivernet "croft/ebpf/net"

	"github.com/vishvananda/netns"
)

// A stage is the bench set for one run of one item: with a new sliver that
// attacks, or is attacked.
type stage struct {
	*bench
	item    Item
	guarded bool
	self    *sliver
	limits  ebpf.Limits // of self
	ends    int64       // boot clock: nothing may pass from then on; 0: never
	gone    int64       // boot clock: self is no more; 0: it is there to the end
	undo    []func() error
}

// stage makes a new sliver, so that its buckets are full and nothing is left of
// the item before. With guarded, it has the small lease in the direction that is
// tried; without, it has no guard and no shaper.
func (b *bench) stage(ctx context.Context, it Item, guarded bool) (_ *stage, err error) {
	b.count++
	s := &stage{bench: b, item: it, guarded: guarded}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	plan := slivernet.Sliver{Name: fmt.Sprintf("self%d", b.count), Place: 0, Ports: public(selfPort)}
	s.limits = ebpf.Limits{Egress: wide, Ingress: wide, Deadline: boot() + int64(time.Hour)}
	if it.direction == ebpf.Egress {
		s.limits.Egress = small
	} else {
		s.limits.Ingress = small
	}
	if guarded && it.direction == ebpf.Egress {
		plan.Egress = small.Rate
	} else if guarded {
		plan.Ingress = small.Rate
	}
	s.self = &sliver{plan: plan, ns: netns.None()}
	s.undo = append(s.undo, func() error { return b.drop(s.self) })
	if err := b.add(ctx, s.self); err != nil {
		return nil, err
	}
	if !it.late {
		err = s.raise(ctx)
	}
	return s, err
}

// raise lets self's packets pass: under its guard, or without.
func (s *stage) raise(ctx context.Context) error {
	if s.guarded {
		return s.guardAndRaise(ctx, s.self, s.limits)
	}
	return s.net.Up(ctx, s.self.plan.Name)
}

// tap counts where the item says.
func (s *stage) tap() (*tap, error) {
	switch s.item.At {
	case AtPeer:
		return newTap(s.peer.ns, s.peer.in, s.peer.eth, etherHeader, false, nil)
	case AtSelf:
		return newTap(s.self.ns, s.self.in, s.self.eth, etherHeader, false, nil)
	case AtNode:
		return newTap(s.node, nil, s.self.at.Guard.IfIndex, etherHeader, true, nil)
	}
	link, err := s.w.LinkByName(worldDev)
	if err != nil {
		return nil, err
	}
	return newTap(s.world, s.w, link.Attrs().Index, etherHeader, false, s.foreign)
}

// run plays the item and returns what was sent, and what was received when.
func (s *stage) run(ctx context.Context, window time.Duration) (sent Traffic, all []sample, err error) {
	floods, err := s.item.attack(s)
	if err != nil {
		return sent, nil, err
	}
	for _, f := range floods {
		defer f.close()
	}
	t, err := s.tap()
	if err != nil {
		return sent, nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	var beside error
	all, err = measure(ctx, t, window, func() {
		way := s.limits.Egress
		if s.item.direction == ebpf.Ingress {
			way = s.limits.Ingress
		}
		for _, f := range floods {
			running.Go(func() { f.run(ctx, f.pace(way, Pace/float64(len(floods)))) })
		}
		if s.item.meanwhile != nil {
			running.Go(func() {
				if beside = s.item.meanwhile(ctx, s); ctx.Err() != nil {
					beside = nil
				}
			})
		}
	})
	stop()
	running.Wait()
	for _, f := range floods {
		sent.Packets += f.packets.Load()
		sent.Octets += f.octets.Load()
		if s.item.Stops != "" { // what the kernel does not even take was tried all the same
			sent.Packets += f.refused.Load()
			sent.Octets += f.refusedOctets.Load()
		}
	}
	if err := errors.Join(err, beside); err != nil {
		return sent, nil, err
	}
	if why := t.wrong.Load(); why != nil {
		return sent, all, fmt.Errorf("%w: a packet %s", ErrHole, *why)
	}
	if s.item.after != nil {
		err = s.item.after(s)
	}
	return sent, all, err
}

func (s *stage) close() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	return errors.Join(errs...)
}
