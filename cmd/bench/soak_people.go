// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A lease is renewed well before it ends.
const (
	soakLease = 10 * time.Minute
	soakRenew = 4 * time.Minute
)

// wide is a lease that nothing here exhausts, at a rate that is not shaped.
const wide = "egress.rate=10gbit,ingress.rate=10gbit,egress.packets=2M,ingress.packets=2M,flows.new=5k,flows.live=2048"

// asked counts what people asked of the node meanwhile.
type asked struct {
	mu                             sync.Mutex
	Who, Exact, Top                int
	Renewals, Came, Stopped, Ended int
	Failed                         map[string]int
	First                          map[string]string // failure of each kind
	whoTook, topTook               sample
}

func (a *asked) did(what *int, kind string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		*what++
		return
	}
	if a.Failed == nil {
		a.Failed, a.First = map[string]int{}, map[string]string{}
	}
	if a.Failed[kind]++; a.First[kind] == "" {
		a.First[kind] = err.Error()
	}
}

// each reports whether everything was done once, or failed.
func (a *asked) each() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.Failed) > 0 || a.Who > 0 && a.Top > 0 && a.Renewals > 0 && a.Came > 0
}

func (a *asked) copy() *asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &asked{Who: a.Who, Exact: a.Exact, Top: a.Top, Renewals: a.Renewals, Came: a.Came, Stopped: a.Stopped, Ended: a.Ended,
		Failed: a.Failed, First: a.First, whoTook: a.whoTook, topTook: a.topTook}
}

// populate leases all slivers that stay.
func (s *soak) populate(ctx context.Context) error {
	if _, err := s.node.croft(ctx, "key", "show"); err != nil { // makes it, before several want it at once
		return err
	}
	t := s.traffic
	t.openers = make([]*guest, s.slivers)
	t.floods, t.talkers = make([]*guest, 2), make([]*guest, 2)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(4)
	one := func(to **guest, name, rset string, more ...string) {
		work.Go(func() (err error) { *to, err = s.node.run(ctx, name, rset, soakLease, more...); return err })
	}
	for i := range t.openers {
		one(&t.openers[i], fmt.Sprintf("open-%d", i), wide)
	}
	for i := range t.floods {
		var more []string
		if i == 0 {
			more = []string{"--port", fmt.Sprintf("%d:%d/udp", publicUDP, insideUDP)}
		}
		one(&t.floods[i], fmt.Sprintf("flood-%d", i), wide, more...)
		one(&t.talkers[i], fmt.Sprintf("talk-%d", i), wide)
	}
	one(&t.tcp, "tcp", "egress.rate=50mbit,ingress.rate=50mbit,egress.packets=100k,ingress.packets=100k", "--port", fmt.Sprintf("%d:%d/tcp", publicTCP, insideTCP))
	abusers := map[string]string{
		"packets": "egress.packets=500", "bytes": "egress.rate=1mbit", "flows": "flows.new=20", "fanout": "flows.new=1k",
		"rows": wide, "daily": "egress.daily=256KiB", "wrong": "egress.rate=5mbit",
	}
	made := make(map[string]**guest, len(abusers))
	for name, rset := range abusers {
		made[name] = new(*guest)
		one(made[name], "abuse-"+name, rset)
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("leasing slivers: %w", err)
	}
	for name, g := range made {
		t.abusers[name] = *g
	}
	return nil
}

// renew renews every lease in turn, each before it ends.
func (s *soak) renew(ctx context.Context) {
	all := append(s.traffic.guests(), s.traffic.tcp)
	for i := 0; ctx.Err() == nil; i++ {
		_, err := s.node.croft(ctx, "renew", all[i%len(all)].slice, "--for", soakLease.String())
		if ctx.Err() == nil {
			s.asked.did(&s.asked.Renewals, "renew", err)
		}
		_ = pause(ctx, soakRenew/time.Duration(len(all)))
	}
}

// churn has slivers come and go: every second one is stopped amid its traffic, the
// others end with their lease.
func (s *soak) churn(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		err := s.visit(ctx, fmt.Sprintf("brief-%d", i), i%2 == 1)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.asked.did(nil, "a sliver that comes and goes", err)
			_ = pause(ctx, 5*time.Second)
		}
	}
}

func (s *soak) visit(ctx context.Context, name string, stop bool) error {
	g, err := s.node.run(ctx, name, wide, 15*time.Second)
	if err != nil {
		return err
	}
	defer g.space.close()
	s.asked.did(&s.asked.Came, "", nil)
	out, err := g.spout()
	if err != nil {
		return err
	}
	flood, end := context.WithTimeout(ctx, 20*time.Second)
	defer end()
	var sender sync.WaitGroup
	sender.Go(func() {
		defer out.close()
		count := uint16(0)
		s.traffic.beside(flood, func() float64 { return 500 }, func() bool {
			count++
			out.udp4(netip.AddrPortFrom(g.source, 9100+count%200), netip.AddrPortFrom(sinks.Addr(), 9), 100)
			return out.put()
		})
	})
	defer sender.Wait()
	defer end()
	if stop {
		if err := pause(ctx, 8*time.Second); err != nil {
			return err
		}
		if _, err := s.node.croft(ctx, "stop", name); err != nil {
			return err
		}
		s.asked.did(&s.asked.Stopped, "", nil)
		return nil
	}
	if err := pause(ctx, 20*time.Second); err != nil {
		return err
	}
	s.asked.did(&s.asked.Ended, "", nil)
	return nil
}

// ask is the outsider who wants to know who sent something, and the owner who looks
// at his slivers, in turns.
func (s *soak) ask(ctx context.Context) {
	for i := 0; pause(ctx, 2*time.Second) == nil; i++ {
		start := time.Now()
		if i%2 == 0 {
			out, err := s.node.croft(ctx, "--json", "top", "-n", "1", "--interval", "1s")
			if err == nil && len(out) == 0 {
				err = errors.New("no figures")
			}
			if ctx.Err() == nil {
				s.asked.did(&s.asked.Top, "top", err)
				s.asked.took(&s.asked.topTook, start)
			}
			continue
		}
		seen := s.traffic.seen.Load()
		if seen == nil {
			continue
		}
		out, err := s.node.croft(ctx, "--json", "audit", "who", seen.from.String(), netip.AddrPortFrom(s.node.gateway, echoPort).String(), "--at", seen.at.UTC().Format(time.RFC3339Nano))
		var said struct{ Verdict string }
		if err == nil {
			err = json.Unmarshal(out, &said)
		}
		if ctx.Err() != nil {
			return
		}
		s.asked.did(&s.asked.Who, "who", err)
		s.asked.took(&s.asked.whoTook, start)
		if err == nil && said.Verdict == "exact" {
			s.asked.did(&s.asked.Exact, "", nil)
		} else if err == nil {
			s.asked.did(nil, "who: "+strconv.Quote(said.Verdict), errors.New(string(out)))
		}
	}
}

func (a *asked) took(to *sample, start time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*to = append(*to, time.Since(start).Seconds())
}
