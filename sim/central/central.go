// SPDX-License-Identifier: Apache-2.0

package central

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Setup is who there is, and where.
type Setup struct {
	Nodes   int   // places are numbered from 0
	Servers []int // the places where they stand
	OneWay  func(a, b int) time.Duration
	Offer   func(node int, at time.Time) offer.Opened // what a node says of itself at an instant; its sequence rises
	Cost    Cost
}

// Workload is what they do. Zero fields are the limits of this package.
type Workload struct {
	Rate    float64 // queries a minute, from random nodes, as a Poisson process
	Queries []offer.Query
	For     time.Duration // how long queries are asked
	Every   time.Duration // how often each node says its offer
	Dial    bool          // each query opens a connection: one round trip more
	Down    []Outage
	Seed    uint64
}

// Outage is when a server answers nothing, from the first query on. It goes on as
// it was: what it kept may have run out.
type Outage struct {
	Server   int // its number in Setup.Servers
	From, To time.Duration
}

// epoch is the wall clock's time at the beginning.
var epoch = time.Unix(1_800_000_000, 0).UTC()

type run struct {
	Setup
	Workload
	rng     *rand.Rand
	now     time.Duration
	queue   queue
	order   uint64
	servers []*server
	report  Report
	sent    uint64 // bytes that nodes sent since the first query
}

// Run plays a workload. The error is ErrSetup.
func Run(s Setup, w Workload) (*Report, error) {
	if w.Every <= 0 {
		w.Every = Republish
	}
	switch {
	case s.Nodes < 1 || len(s.Servers) == 0 || s.OneWay == nil || s.Offer == nil:
		return nil, fmt.Errorf("%d nodes and %d servers: %w: want one of each, wires and offers", s.Nodes, len(s.Servers), ErrSetup)
	case slices.ContainsFunc(s.Servers, func(at int) bool { return at < 0 || at >= s.Nodes }):
		return nil, fmt.Errorf("servers at %d: %w: places are 0 to %d", s.Servers, ErrSetup, s.Nodes-1)
	case w.Rate <= 0 || w.For <= 0 || len(w.Queries) == 0:
		return nil, fmt.Errorf("%g of %d queries a minute for %s: %w: want more than none", w.Rate, len(w.Queries), w.For, ErrSetup)
	case slices.ContainsFunc(w.Down, func(o Outage) bool { return o.Server < 0 || o.Server >= len(s.Servers) }):
		return nil, fmt.Errorf("an outage of a server that is none of %d: %w", len(s.Servers), ErrSetup)
	}
	if n := w.Rate*w.For.Minutes() + float64(s.Nodes*len(s.Servers))*(2+float64(w.For)/float64(w.Every)); n > maxEvents {
		return nil, fmt.Errorf("about %.0f messages: %w: want at most %d", n, ErrSetup, maxEvents)
	}
	r := &run{Setup: s, Workload: w, rng: rand.New(rand.NewPCG(w.Seed, 0x63656e74))}
	for _, at := range s.Servers {
		r.servers = append(r.servers, &server{place: at, kept: map[lease.Principal]entry{}})
	}
	for node := range s.Nodes {
		r.in(time.Duration(r.rng.Int64N(int64(min(w.Every, warm)))), func() { r.say(node) })
	}
	r.in(warm+r.gap(), r.ask)
	for len(r.queue) > 0 {
		e := heap.Pop(&r.queue).(event)
		r.now = e.at
		e.do()
	}
	return r.finish(), nil
}

// counts reports whether it is the time of queries, of which the figures are.
func (r *run) counts() bool { return r.now >= warm && r.now < warm+r.For }

func (r *run) gap() time.Duration {
	return time.Duration(r.rng.ExpFloat64() / r.Rate * float64(time.Minute))
}

// say has a node tell every server its offer.
func (r *run) say(node int) {
	if r.now >= warm+r.For {
		return
	}
	o := r.Offer(node, epoch.Add(r.now))
	until := time.Unix(o.Until, 0).Sub(epoch)
	for i, s := range r.servers {
		size := uint64(len(o.Bytes) + Header)
		r.spend(size)
		r.in(r.OneWay(node, s.place), func() {
			if r.down(i) {
				return
			}
			if r.counts() {
				s.in += size
			}
			done, _ := s.work(r.now, r.Cost.Update, r.counts())
			r.in(done-r.now, func() { s.take(r.now, until, o) })
		})
	}
	r.in(r.Every, func() { r.say(node) })
}

// ask has a random node ask, and the next one after it.
func (r *run) ask() {
	if r.now >= warm+r.For {
		return
	}
	node := r.rng.IntN(r.Nodes)
	q := r.Queries[r.rng.IntN(len(r.Queries))]
	if q.Limit == 0 {
		q.Limit = Page
	}
	near := make([]int, len(r.servers))
	for i := range near {
		near[i] = i
	}
	slices.SortStableFunc(near, func(a, b int) int {
		return int(r.OneWay(node, r.servers[a].place) - r.OneWay(node, r.servers[b].place))
	})
	r.report.Asked++
	r.try(node, q, near, r.now)
	r.in(r.gap(), r.ask)
}

// try asks the first of the servers, and the others after it.
func (r *run) try(node int, q offer.Query, servers []int, began time.Duration) {
	if len(servers) == 0 {
		r.report.Failed++
		return
	}
	s, way := r.servers[servers[0]], r.OneWay(node, r.servers[servers[0]].place)
	size := uint64(len(q.String()) + Header)
	out := way
	if r.Dial {
		out += 2 * way
		r.spend(Handshake)
	}
	r.spend(size)
	answered := false
	r.in(out, func() {
		if r.down(servers[0]) {
			return
		}
		if r.counts() {
			s.in += size
		}
		done, waited := s.work(r.now, r.Cost.Query+time.Duration(len(s.nodes))*r.Cost.Look, r.counts())
		r.report.Wait = append(r.report.Wait, waited)
		r.in(done-r.now, func() {
			res := s.match(r.now, epoch.Add(r.now), q)
			size := uint64(Header)
			if r.Dial {
				size += Handshake
			}
			for _, f := range res.Offers {
				size += uint64(len(f.Bytes))
				r.report.Age = append(r.report.Age, f.Age)
			}
			if r.counts() {
				s.out += size
			}
			r.in(way, func() {
				if answered { // it had been given up
					return
				}
				answered = true
				r.report.Answered++
				r.report.Latency = append(r.report.Latency, r.now-began)
				r.report.Matched += uint64(len(res.Offers))
			})
		})
	})
	r.in(Timeout, func() {
		if !answered {
			answered = true
			r.report.GivenUp++
			r.try(node, q, servers[1:], began)
		}
	})
}

func (r *run) spend(bytes uint64) {
	if r.counts() {
		r.sent += bytes
	}
}

func (r *run) down(server int) bool {
	return slices.ContainsFunc(r.Down, func(o Outage) bool {
		return o.Server == server && r.now >= warm+o.From && r.now < warm+o.To
	})
}
