// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"time"

	"croft/ebpf"
	slivernet "croft/ebpf/net"
)

// When limits could be absent: before, after, between.
var moments = []Item{
	{Name: "at-start", About: "packets on the way before the link is up", At: AtWorld, late: true,
		attack: big4, meanwhile: func(ctx context.Context, s *stage) error { return s.raise(ctx) }},
	{Name: "daemon-dead", About: "nobody is there but the kernel; then the daemon comes back", At: AtWorld,
		attack: big4, meanwhile: deadDaemon},
	{Name: "lease-changes", About: "guard and shaper are changed as fast as can be, never above the lease", At: AtWorld,
		attack: big4, meanwhile: changes},
	{Name: "at-deadline", About: "the deadline passes amid the flood", At: AtWorld, attack: big4, meanwhile: deadline},
	{Name: "at-removal", About: "the sliver is removed amid the flood", At: AtWorld, attack: big4, meanwhile: removal},
}

func big4(s *stage) ([]*flood, error) { return s.datagrams(s.outside(false), big) }

// pause waits, and reports whether it was let.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func deadDaemon(ctx context.Context, s *stage) error {
	if err := s.closeNode(); err != nil {
		return err
	}
	pause(ctx, Window*2/3)
	// The next daemon starts in any case: what is left is needed.
	return s.openNode(context.WithoutCancel(ctx))
}

func changes(ctx context.Context, s *stage) error {
	if !s.guarded {
		return nil
	}
	half := s.limits
	half.Egress.Rate /= 2
	half.Egress.Packets /= 2
	half.Egress.PacketBurst /= 2
	half = s.self.own(half)
	whole := half
	whole.Egress = s.limits.Egress
	for i := 0; pause(ctx, time.Millisecond); i++ {
		l := []ebpf.Limits{half, whole}[i%2]
		if err := s.guard.Update(ctx, s.self.plan.Name, l); err != nil {
			return err
		}
		if err := s.net.SetRates(ctx, s.self.plan.Name, l.Egress.Rate, l.Ingress.Rate); err != nil && !errors.Is(err, slivernet.ErrReattach) {
			return err
		}
		if i%16 == 0 { // a daemon that recovers says all again
			if _, err := s.net.Add(ctx, s.self.plan); err != nil {
				return err
			}
			if err := s.guardAndRaise(ctx, s.self, l); err != nil {
				return err
			}
		}
	}
	return nil
}

func deadline(ctx context.Context, s *stage) error {
	if !s.guarded {
		return nil
	}
	l := s.self.own(s.limits)
	l.Deadline = boot() + int64(time.Second)
	s.ends = l.Deadline
	return s.guard.Update(ctx, s.self.plan.Name, l)
}

func removal(ctx context.Context, s *stage) error {
	if !s.guarded || !pause(ctx, time.Second) {
		return nil
	}
	if err := s.guard.Detach(ctx, s.self.plan.Name); err != nil {
		return err
	}
	s.ends = boot()
	s.gone = s.ends
	return s.net.Remove(ctx, s.self.plan.Name)
}
