// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

var (
	ways     = []string{"from", "towards"}
	controls = []string{"cubic", "bbr"}
	crowds   = []int{1, 128}
	rates    = []uint64{1e6, 10e6, 100e6, 1000e6}
)

// windows is how long flows run before they are measured, and how long they are:
// 5 s and 30 s for a result.
func (b *bench) windows() (before, during time.Duration) {
	during = b.window
	if during == 0 {
		during = time.Duration(b.rounds(2, 1)) * time.Second
	}
	return max(time.Second, during/6), during
}

// full reports whether a result is asked for and not a look.
func (b *bench) full() bool { return b.window >= 10*time.Second }

// accuracy is what passes of a lease's rate, in L3 octets as they arrive, by
// flows that would send more; beside methods that everybody has.
func (b *bench) accuracy(ctx context.Context) error {
	return errors.Join(b.shaperAccuracy(ctx, rates, 0), b.methodAccuracy(ctx), b.packetAccuracy(ctx))
}

// far is the same over a round trip of 40 ms. It takes long windows to say
// anything.
func (b *bench) far(ctx context.Context) error {
	if !b.full() {
		return nil
	}
	return b.shaperAccuracy(ctx, []uint64{1e6, 10e6, 100e6}, 40*time.Millisecond)
}

func (b *bench) shaperAccuracy(ctx context.Context, rates []uint64, roundTrip time.Duration) (err error) {
	w, err := newShapedWorld(ctx, b.croft, roundTrip)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	before, during := b.windows()
	where := ""
	if roundTrip > 0 {
		where = ", " + roundTrip.String() + " away"
		if err := b.ceiling(ctx, w, where); err != nil {
			return err
		}
	}
	for _, rate := range rates {
		for _, way := range ways {
			for _, control := range controls {
				for _, flows := range crowds {
					what := fmt.Sprintf("L3 %s a sliver, %s, %s%s", way, mbit(rate), these(flows, control), where)
					if err := b.cell(ctx, w, what, rate, way, control, flows, before, during); err != nil {
						return fmt.Errorf("%s: %w", what, err)
					}
				}
			}
		}
	}
	return nil
}

// cell measures one. Each has a sliver of its own, and so queues, buckets and
// flows that know nothing of the one before.
func (b *bench) cell(ctx context.Context, w *shapedWorld, what string, rate uint64, way, control string, flows int, before, during time.Duration) error {
	name, inside, err := w.sliver(ctx, rate)
	if err != nil {
		return err
	}
	r, err := w.way(way, inside).carry(ctx, flows, control, before, during)
	queues, err1 := w.network.Queues(ctx, name)
	counts, err2 := w.guard.Counters(ctx, name)
	if err := errors.Join(err, err1, err2, w.remove(ctx, name, inside)); err != nil {
		return err
	}
	queue, count := queues.Egress, counts.Egress
	if way == "towards" {
		queue, count = queues.Ingress, counts.Ingress
	}
	bound := 1.0
	if rate <= 1e6 {
		bound = 3
	}
	b.add(plain(what, "% off", sample{math.Abs(off(r.l3, rate))}, atMost(bound),
		fmt.Sprintf("%s; dropped: %d by the queue, %d by the guard", r.against(rate), queue.Drops(), count.DroppedPackets())))
	return nil
}

// methodAccuracy limits a plain link by each method.
func (b *bench) methodAccuracy(ctx context.Context) (err error) {
	w, err := newPlainWorld()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	before, during := b.windows()
	if b.full() { // they are three
		before, during = max(time.Second, before/3), during/3
	}
	for _, m := range methods {
		for _, rate := range rates {
			for _, control := range controls[:b.rounds(len(controls), 1)] {
				for _, flows := range crowds {
					what := fmt.Sprintf("L3 by %s, %s, %s", m.name, mbit(rate), these(flows, control))
					if err := m.set(ctx, w, rate); err != nil {
						return fmt.Errorf("%s: %w", what, err)
					}
					r, err := w.path().carry(ctx, flows, control, before, during)
					w.clear(ctx)
					if err != nil {
						return fmt.Errorf("%s: %w", what, err)
					}
					b.add(plain(what, "% off", sample{math.Abs(off(r.l3, rate))}, nil, r.against(rate)))
				}
			}
		}
	}
	return nil
}

// ceiling is what the relay itself carries.
func (b *bench) ceiling(ctx context.Context, w *shapedWorld, where string) error {
	for _, flows := range crowds {
		r, err := w.bare().carry(ctx, flows, "bbr", 2*time.Second, 3*time.Second)
		if err != nil {
			return err
		}
		b.add(plain("relay alone, "+these(flows, "bbr")+where, "Mbit/s", sample{r.l3 / 1e6}, nil, "what the distance itself carries, without node or lease"))
	}
	return nil
}

func off(got float64, rate uint64) float64 { return (got/float64(rate) - 1) * 100 }

// against says what passed, of the lease.
func (r passage) against(rate uint64) string {
	return fmt.Sprintf("L3 %+.2f %%, L2 %+.2f %%, goodput %+.2f %%", off(r.l3, rate), off(r.l2, rate), off(r.goodput, rate))
}

func mbit(rate uint64) string { return fmt.Sprintf("%d Mbit/s", rate/1e6) }

func these(flows int, control string) string {
	if flows == 1 {
		return "1 " + control
	}
	return fmt.Sprintf("%d %s", flows, control)
}

// packetAccuracy is the same for packets a second, which the guard's bucket holds
// and no queue: 20,000 of a flood of small datagrams.
func (b *bench) packetAccuracy(ctx context.Context) (err error) {
	w, err := newShapedWorld(ctx, b.croft, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	w.packets = 20_000
	const during = 2 * time.Second
	for _, way := range ways {
		name, inside, err := w.sliver(ctx, 10e9)
		if err != nil {
			return err
		}
		var s sample
		for range b.rounds(5, 2) {
			got, err := w.way(way, inside).datagrams(ctx, during)
			if err != nil {
				return errors.Join(err, w.remove(ctx, name, inside))
			}
			s = append(s, math.Abs(off(got, w.packets)))
		}
		if err := w.remove(ctx, name, inside); err != nil {
			return err
		}
		b.add(plain(fmt.Sprintf("packets/s %s a sliver, 20,000 of a flood", way), "% off", s, atMost(0.5), fmt.Sprintf("worst round %.3g %%", slices.Max(s))))
	}
	return nil
}
