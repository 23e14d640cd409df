// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"croft/ebpf/audit/store"
)

// A soak is one daemon under traffic for a long time.
type soak struct {
	bench
	span     time.Duration
	slivers  int           // that open new flows
	rate     float64       // packets/s to begin with
	step     time.Duration // of the search for the highest rate; 0: rate is held
	every    time.Duration // between two samples
	log      io.Writer
	node     *soakNode
	traffic  *traffic
	mu       sync.Mutex
	accounts accounts
	asked    asked
}

// soakMain runs `bench soak`, and returns an error where what was to hold did not.
func soakMain(ctx context.Context, args []string) error {
	s := &soak{log: os.Stdout}
	flags := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	flags.DurationVar(&s.span, "for", 30*time.Minute, "how long, after the rate is found")
	flags.IntVar(&s.slivers, "slivers", 44, "slivers that open as many new flows as their quota of rows takes")
	flags.Float64Var(&s.rate, "rate", 20000, "packets/s with which the search begins")
	flags.DurationVar(&s.step, "step", 8*time.Second, "how long each rate is tried, a fifth more each time; 0: hold --rate")
	flags.DurationVar(&s.every, "every", 10*time.Second, "between two samples")
	flags.StringVar(&s.croft, "croft", "build/croft", "the binary to load")
	flags.StringVar(&s.lab, "lab", "/var/lib/croft-soak", "directory of the lab that is made and removed")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if s.slivers < 1 || s.slivers > 44 || s.span < 2*s.every || s.every < time.Second || s.rate < 100 {
		return errors.New("want 1 to 44 --slivers, --for of two samples at least, --every of a second and --rate of 100 at least")
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root")
	}
	var err error
	if s.croft, err = filepath.Abs(s.croft); err != nil {
		return err
	}
	unlock, err := alone("soak")
	if err != nil {
		return err
	}
	defer unlock()
	v, err := s.run(ctx)
	if err != nil {
		return err
	}
	v.print(s.log)
	return v.err()
}

// run makes the node and its slivers, finds the rate, holds it, and judges. What
// it made is gone when it returns.
func (s *soak) run(ctx context.Context) (v verdict, err error) {
	fmt.Fprintln(s.log, thisMachine())
	if err := s.labDown(); err != nil {
		return v, fmt.Errorf("removing what an earlier run left: %w", err)
	}
	home, err := os.MkdirTemp("", "croft-soak-")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(home)
	defer func() { err = errors.Join(err, s.labDown()) }()
	if s.node, err = s.bringUp(ctx, home); err != nil {
		return v, err
	}
	defer s.node.close()
	if s.traffic, err = newTraffic(s.node); err != nil {
		return v, err
	}
	defer s.traffic.close()
	if err := s.populate(ctx); err != nil {
		return v, err
	}

	work, stop := context.WithCancel(ctx)
	defer stop()
	var crew sync.WaitGroup
	defer crew.Wait()
	defer stop()
	crew.Go(func() { s.follow(work) })
	if err := s.traffic.start(work, s.rate); err != nil {
		return v, err
	}
	held := s.rate
	if s.step > 0 {
		if held, err = s.search(ctx); err != nil {
			return v, err
		}
	}
	s.traffic.set(held)
	crew.Go(func() { s.ask(work) })
	crew.Go(func() { s.renew(work) })
	crew.Go(func() { s.churn(work) })

	before := s.fresh()
	samples, err := s.hold(ctx)
	if err != nil {
		return v, err
	}
	v = verdict{Machine: thisMachine(), Held: held, Span: s.span, Samples: samples, Total: s.snapshot().since(before)}
	s.traffic.stop()
	stop()
	crew.Wait()
	if v.Counted, err = s.outside(ctx); err != nil {
		return v, err
	}
	if v.Stayed, err = s.ebb(ctx, samples[len(samples)-1].Entries/10); err != nil {
		return v, err
	}
	v.Asked, v.Sent = s.asked.copy(), s.traffic.sent()
	return v, nil
}

// follow reads every epoch as the daemon writes it down.
func (s *soak) follow(ctx context.Context) {
	t := store.NewTail(filepath.Join(s.node.state, "audit"))
	defer t.Close()
	for done := false; !done; {
		done = pause(ctx, time.Second) != nil // and once more at the end
		epochs, alarms, err := t.Next()
		s.mu.Lock()
		s.accounts.take(epochs, alarms, err)
		s.mu.Unlock()
	}
}

func (s *soak) snapshot() accounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts.copy()
}

// fresh is a snapshot from which on what is a highest is sought anew.
func (s *soak) fresh() accounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts.MostRows, s.accounts.Apart, s.accounts.LongestD = 0, 0, 0
	return s.accounts.copy()
}

// search raises the rate by a fifth at a time until the node or this machine's
// senders no longer follow, and returns 95 % of the highest that was sustained.
func (s *soak) search(ctx context.Context) (float64, error) {
	best := 0.0
	for rate := s.rate; ; rate *= 1.2 {
		s.traffic.set(rate)
		if err := pause(ctx, s.step/4); err != nil { // until the rate is there
			return 0, err
		}
		sent, before, at := s.traffic.sent(), s.snapshot(), time.Now()
		if err := pause(ctx, s.step); err != nil {
			return 0, err
		}
		got := float64(s.traffic.sent()-sent) / time.Since(at).Seconds()
		seen := s.snapshot().since(before)
		fmt.Fprintf(s.log, "  asked %7.0f packets/s, sent %7.0f; unrecorded %d, %d breaches\n", rate, got, seen.Unrecorded, seen.Breaches)
		best = max(best, min(got, rate))
		if got < 0.95*rate || seen.Unrecorded > 0 || seen.Breaches > 0 {
			if seen.Unrecorded > 0 || seen.Breaches > 0 {
				best = rate / 1.2
			}
			return 0.95 * best, nil
		}
	}
}

// hold takes a sample every while, for as long as the soak is, and until everything
// that people do has been done once, which matters to a short one on a slow machine.
func (s *soak) hold(ctx context.Context) (samples []soakSample, err error) {
	fmt.Fprintf(s.log, "holding %.0f packets/s for %s\n%s\n", s.traffic.rate(), s.span, sampleHead)
	began, last, sent := time.Now(), s.snapshot(), s.traffic.sent()
	for n := 1; time.Since(began) < s.span || !s.asked.each() && time.Since(began) < s.span+5*time.Minute; n++ {
		if err := pause(ctx, time.Until(began.Add(time.Duration(n)*s.every))); err != nil {
			return nil, err
		}
		x, err := s.node.sample(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking at the daemon: %w", err)
		}
		now, nowSent := s.snapshot(), s.traffic.sent()
		x.At, x.Epochs, x.Sent = time.Since(began), now.since(last), nowSent-sent
		last, sent = now, nowSent
		samples = append(samples, x)
		fmt.Fprintln(s.log, x)
	}
	return samples, nil
}

// ebb waits until few connections are tracked, for three minutes at most: a UDP
// flow that was answered is tracked for two.
func (s *soak) ebb(ctx context.Context, few int) (n int, err error) {
	for end := time.Now().Add(3 * time.Minute); ; {
		if n, err = s.node.entries(); err != nil || n <= few || time.Now().After(end) {
			return n, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return n, err
		}
	}
}

// outside holds what slivers' own devices sent against what the guard saw of each.
func (s *soak) outside(ctx context.Context) (o observed, err error) {
	figures, err := s.node.way.Figures(ctx)
	if err != nil {
		return o, err
	}
	saw := map[string]uint64{}
	for _, f := range figures {
		saw[f.Sliver] = f.Out.SeenPackets
	}
	for _, g := range s.traffic.guests() {
		device, err := g.sent()
		if err != nil {
			return o, err
		}
		guard, ok := saw[g.sliver]
		if !ok {
			return o, fmt.Errorf("the node counts nothing of sliver %s", g.sliver)
		}
		o.Slivers++
		o.Device += device
		o.Guard += guard
		if device != guard {
			o.Off = append(o.Off, fmt.Sprintf("%s %d, guard %d", g.slice, device, guard))
		}
	}
	return o, nil
}
