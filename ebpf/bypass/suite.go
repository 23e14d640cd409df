// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"croft/ebpf"
)

// Config says what to run and how.
type Config struct {
	Items   []Item        // none: all
	Window  time.Duration // counted with the guard; 0: [Window]
	Control time.Duration // and without; 0: [Control]
	// Benches is how many items run at once, each on a bench of its own; 0: one.
	Benches int
}

// Run plays the items and hands over their results in the items' order. It
// returns the first error of the bench itself; holes are in the results. What it
// made is gone when it returns, also when ctx was cancelled.
func Run(ctx context.Context, cfg Config, each func(Result)) error {
	if cfg.Items == nil {
		cfg.Items = Items()
	}
	if cfg.Window == 0 {
		cfg.Window = Window
	}
	if cfg.Control == 0 {
		cfg.Control = Control
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make([]chan Result, len(cfg.Items))
	for i := range results {
		results[i] = make(chan Result, 1)
	}
	next := make(chan int, len(cfg.Items))
	for i := range cfg.Items {
		next <- i
	}
	close(next)
	workers := min(max(cfg.Benches, 1), len(cfg.Items))
	failed := make(chan error, workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			if err := work(ctx, cfg, next, results); err != nil {
				failed <- err
				cancel() // the others stop
			}
		})
	}
	for i := range results {
		select {
		case r := <-results[i]:
			each(r)
		case <-ctx.Done():
		}
	}
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

// work plays items on one bench.
func work(ctx context.Context, cfg Config, next <-chan int, results []chan Result) (err error) {
	b, err := openBench(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for i := range next {
		r, err := b.play(ctx, cfg.Items[i], cfg)
		if err != nil {
			return fmt.Errorf("%s: %w", cfg.Items[i].Name, err)
		}
		results[i] <- r
	}
	return nil
}

// play runs one item with the guard and without, and judges.
func (b *bench) play(ctx context.Context, it Item, cfg Config) (Result, error) {
	r := Result{Item: it.Name, About: it.About, At: it.At}
	var guarded outcome
	var damage error
	// Where the machine was too busy for an attack, once more.
	for try := 0; try < tries && (try == 0 || damage == nil && r.Offered < MinOffered && r.Used <= 1); try++ {
		if guarded, damage = b.once(ctx, it, true, cfg.Window); damage != nil && !errors.Is(damage, ErrHole) {
			return r, damage
		}
		r.weigh(guarded)
	}
	for try := 0; try < tries && (try == 0 || r.Control <= 1 && it.Stops == ""); try++ {
		control, err := b.once(ctx, it, false, cfg.Control)
		if err != nil && !errors.Is(err, ErrHole) {
			return r, err
		}
		got, ns := span(control.samples[0], control.samples[len(control.samples)-1])
		r.ControlReceived = Traffic{got.packets, got.octets}
		r.Control = used(got, allowed(small, ns))
	}
	r.judge(it, damage)
	return r, nil
}

// weigh says what a run with the guard shows.
func (r *Result) weigh(guarded outcome) {
	first, last := guarded.samples[0], guarded.samples[len(guarded.samples)-1]
	got, ns := span(first, last)
	r.Seconds = float64(ns) / 1e9
	r.Sent = guarded.sent
	attacked := ns
	if guarded.gone > 0 {
		attacked = guarded.gone - first.before
	}
	lease := allowed(ebpf.Way{Rate: small.Rate, Packets: small.Packets}, attacked)
	r.Offered = max(float64(r.Sent.Octets)/float64(lease.Octets), float64(r.Sent.Packets)/float64(lease.Packets))
	r.Received = Traffic{got.packets, got.octets}
	r.Allowed = allowed(small, ns)
	r.Used = worst(guarded.samples, small, guarded.ends)

}

func (r *Result) judge(it Item, damage error) {
	if damage == nil && it.none && r.Received.Packets > 0 {
		damage = fmt.Errorf("%d packets arrived, of which none may", r.Received.Packets)
	}
	if damage != nil || r.Used > 1 {
		if r.Verdict = Hole; it.Known != "" {
			r.Verdict = Known
		}
	}
	switch {
	case damage != nil:
		r.Why = damage.Error()
	case r.Used > 1:
		r.Why = fmt.Sprintf("received %.2f times what the lease allows", r.Used)
	case r.Offered < MinOffered:
		r.Verdict, r.Why = Weak, fmt.Sprintf("sent %.0f times the lease, want %d", r.Offered, MinOffered)
	case r.Control > 1:
		r.Verdict = Held
	case it.Stops != "":
		r.Verdict, r.Why = Moot, it.Stops
	default:
		r.Verdict, r.Why = Weak, fmt.Sprintf("without a guard it gets %.2f of what the lease allows", r.Control)
	}
	if r.Verdict == Known {
		r.Why += "; " + it.Known
	}
}

// outcome is one run.
type outcome struct {
	sent    Traffic
	samples []sample
	ends    int64
	gone    int64
}

func (b *bench) once(ctx context.Context, it Item, guarded bool, window time.Duration) (o outcome, err error) {
	s, err := b.stage(ctx, it, guarded)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	o.sent, o.samples, err = s.run(ctx, window)
	o.ends, o.gone = s.ends, s.gone
	return o, err
}
