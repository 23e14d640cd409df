// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

func (b *bench) queue(ctx context.Context) (err error) {
	w, err := newShapedWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	const rate = 100_000_000
	name, in, err := w.sliver(ctx, rate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove(ctx, name, in)) }()
	for _, c := range []struct {
		what string
		p    path
	}{{"from", w.from(in)}, {"towards", w.towards(in)}} {
		idle, err := c.p.ask(ctx, 10*time.Millisecond, time.Second)
		if err != nil {
			return err
		}
		for _, cc := range []string{"cubic", "bbr"} {
			for range b.rounds(3, 1) {
				bulk, err := c.p.bulk(ctx, 128, cc)
				if err != nil {
					return err
				}
				pause(ctx, time.Second)
				g0 := bulk.got.Load()
				c0, _ := c.p.count()
				rr, err := c.p.ask(ctx, 10*time.Millisecond, 4*time.Second)
				c1, _ := c.p.count()
				good := float64(bulk.got.Load()-g0) * 8 / c1.at.Sub(c0.at).Seconds()
				l3 := float64(c1.bytes-c0.bytes-14*(c1.packets-c0.packets)) * 8 / c1.at.Sub(c0.at).Seconds()
				bulk.stop()
				if err != nil {
					return err
				}
				q, _ := w.network.Queues(ctx, name)
				cn, _ := w.guard.Counters(ctx, name)
				fmt.Fprintf(os.Stderr, "%s %s idle %.3f: mean %.3f med %.3f p99 %.3f max %.3f n %d l3 %.2f good %.2f\n  %+v\n  guard drops %d %d\n", c.what, cc, idle.median(), rr.mean(), rr.median(), rr.quantile(.99), rr.quantile(1), len(rr), l3/1e6, good/1e6, q, cn.Egress.DroppedPackets(), cn.Ingress.DroppedPackets())
			}
		}
	}
	return nil
}

func (s sample) mean() (m float64) {
	for _, v := range s {
		m += v / float64(len(s))
	}
	return m
}
