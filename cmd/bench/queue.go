// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	queueRate  = 100_000_000
	queueFlows = 128
	askEvery   = 10 * time.Millisecond // 23 kB/s with headers, a quarter of what is sparse here
)

// queue is how long a small request waits for its answer while 128 flows fill the
// lease, beside the same on a link that tc's token bucket holds to the rate.
func (b *bench) queue(ctx context.Context) (err error) {
	w, err := newShapedWorld(ctx, b.croft, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	p, err := newPlainWorld()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := methods[0].set(ctx, p, queueRate); err != nil {
		return err
	}
	name, inside, err := w.sliver(ctx, queueRate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove(ctx, name, inside)) }()

	runs := b.rounds(3, 1)
	if b.full() {
		runs = 10
	}
	for _, control := range controls {
		found := map[string]*waits{}
		var tbf sample
		for range runs {
			r, err := p.path().waits(ctx, control)
			if err != nil {
				return fmt.Errorf("beside %s under %s: %w", methods[0].name, control, err)
			}
			tbf = append(tbf, r.busy.mean())
			for _, way := range ways {
				r, err := w.way(way, inside).waits(ctx, control)
				if err = errors.Join(err, emptied(ctx, w.guard)); err != nil {
					return fmt.Errorf("%s a sliver under %s: %w", way, control, err)
				}
				if found[way] == nil {
					found[way] = &waits{}
				}
				found[way].add(r)
			}
		}
		for _, way := range ways {
			b.waited(way, control, *found[way], tbf)
		}
	}
	return nil
}

// waited adds the lines of one way.
func (b *bench) waited(way, control string, r waits, tbf sample) {
	what := fmt.Sprintf("answer beside %d %s, %s a sliver", queueFlows, control, way)
	worst := slices.Max(r.means.over(tbf))
	l := against(what, "ms", r.means, methods[0].name, tbf, atMost(0.1), fmt.Sprintf(
		"the goal is for each run, and the worst was %.3g; the flows had %.4g Mbit/s of L3; alone an answer takes %s ms, 99 of 100 within %s",
		worst, r.l3.median()/1e6, number(r.idleMeans.median()), number(r.idleP99s.median())))
	met := worst <= 0.1
	l.Met = &met
	b.add(l)
	b.add(plain("  more than alone, mean", "ms", r.means.less(r.idleMeans), atMost(1), ""))
	b.add(plain("  more than alone, 99 of 100", "ms", r.p99s.less(r.idleP99s), atMost(5), ""))
}

// waits are answers beside bulk flows, and alone just before.
type waits struct {
	busy                             sample
	means, p99s, idleMeans, idleP99s sample
	l3                               sample
}

func (w *waits) add(r waits) {
	w.means, w.p99s = append(w.means, r.means...), append(w.p99s, r.p99s...)
	w.idleMeans, w.idleP99s = append(w.idleMeans, r.idleMeans...), append(w.idleP99s, r.idleP99s...)
	w.l3 = append(w.l3, r.l3...)
}

// waits is one run.
func (p path) waits(ctx context.Context, control string) (r waits, err error) {
	idle, err := p.ask(ctx, askEvery, 2*time.Second)
	if err != nil {
		return r, err
	}
	b, err := p.bulk(ctx, queueFlows, control)
	if err != nil {
		return r, err
	}
	defer b.stop()
	if err := pause(ctx, 1500*time.Millisecond); err != nil {
		return r, err
	}
	c0, err := p.count()
	if err != nil {
		return r, err
	}
	if r.busy, err = p.ask(ctx, askEvery, 4*time.Second); err != nil {
		return r, err
	}
	c1, err := p.count()
	if err != nil {
		return r, err
	}
	r.l3 = sample{float64(c1.bytes-c0.bytes-14*(c1.packets-c0.packets)) * 8 / c1.at.Sub(c0.at).Seconds()}
	r.means, r.p99s = sample{r.busy.mean()}, sample{r.busy.quantile(0.99)}
	r.idleMeans, r.idleP99s = sample{idle.mean()}, sample{idle.quantile(0.99)}
	return r, nil
}

func (s sample) mean() (m float64) {
	for _, v := range s {
		m += v / float64(len(s))
	}
	return m
}

// less subtracts round by round.
func (s sample) less(base sample) sample {
	out := make(sample, min(len(s), len(base)))
	for i := range out {
		out[i] = s[i] - base[i]
	}
	return out
}
