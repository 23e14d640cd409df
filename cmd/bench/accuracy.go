// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

func (b *bench) accuracy(ctx context.Context) (err error) {
	w, err := newShapedWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	only := os.Getenv("CELLS")
	for _, rate := range []uint64{1e6, 10e6, 100e6, 1000e6} {
		for _, way := range []string{"from", "towards"} {
			for _, cc := range []string{"cubic", "bbr"} {
				for _, flows := range []int{1, 128} {
					cell := fmt.Sprintf("%d %s %s %d", rate/1e6, way, cc, flows)
					if !strings.HasPrefix(cell, only) {
						continue
					}
					name, in, err := w.sliver(ctx, rate)
					if err != nil {
						return err
					}
					p := w.from(in)
					if way == "towards" {
						p = w.towards(in)
					}
					bf, win := 2*time.Second, 5*time.Second
					if os.Getenv("LONG") != "" {
						bf, win = 5*time.Second, 30*time.Second
					}
					r, err := p.carry(ctx, flows, cc, bf, win)
					if err != nil {
						err = fmt.Errorf("%s: %w", cell, err)
					}
					q, _ := w.network.Queues(ctx, name)
					cn, _ := w.guard.Counters(ctx, name)
					qq, gd := q.Egress, cn.Egress.DroppedPackets()
					if way == "towards" {
						qq, gd = q.Ingress, cn.Ingress.DroppedPackets()
					}
					fmt.Fprintf(os.Stderr, "%-24s l3 %+.2f%% good %+.2f%%  guard %d queue %d\n", cell, r.l3/float64(rate)*100-100, r.goodput/float64(rate)*100-100, gd, qq.Drops())
					if err := errors.Join(err, w.remove(ctx, name, in)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
