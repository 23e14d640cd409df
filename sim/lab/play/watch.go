// SPDX-License-Identifier: Apache-2.0

package play

import (
	"context"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/sim/report"
)

// figures are what is measured.
type figures struct {
	delivery, latejoin, lookup, bytes *report.Measure
	up, running                       *report.Gauge
	published, delivered              *report.Counter
	held, committed, ended            *report.Counter
	found, sought                     int
	talk                              *report.Talk
}

func newFigures(r *report.Recorder) figures {
	return figures{delivery: r.Measure("delivery", ""), latejoin: r.Measure("latejoin", ""), lookup: r.Measure("lookup", ""), bytes: r.Measure("bytes", ""),
		up: r.Gauge("nodes", "up"), running: r.Gauge("slivers", "running"),
		published: r.Counter("offers", "published"), delivered: r.Counter("offers", "delivered"),
		held: r.Counter("leases", "held"), committed: r.Counter("leases", "committed"), ended: r.Counter("leases", "ended"), talk: r.Talk()}
}

// publication is one offer of one node. An offer's sequence is the millisecond in
// which it was made, by the clock that all nodes of a lab share.
type publication struct {
	node     lease.Principal
	sequence uint64
}

// news is an offer on its way.
type news struct {
	at   time.Duration
	seen map[int]time.Duration // by node: when it was first seen to know it
	due  map[int]bool          // nodes that were there when it was made
}

// look asks every node that is up what it knows, again and again.
func (g *game) look(ctx context.Context) {
	every := lookEvery * time.Duration(max(len(g.nodes), 10)) / 10
	for _, p := range g.nodes {
		g.task(ctx, func(ctx context.Context) error {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				if p.here() {
					p.glance(ctx)
				}
			}
		})
	}
}

func (p *player) here() bool {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	return p.isUp
}

// glance asks once. A daemon that does not answer is one that has just been ended,
// or its silence is what will be measured.
func (p *player) glance(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	res, err := p.way.Find(ctx, offer.FindRequest{Query: fmt.Sprintf("limit %d", maxNodes), View: true, Enough: 1})
	if err != nil {
		return
	}
	g := p.g
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.isUp {
		return
	}
	others := 0
	for _, f := range res.Offers {
		if g.saw(p, publication{f.Offer.Node, f.Offer.Sequence}, f.Offer.Display(), now) {
			others++
		}
	}
	if p.target > 0 && others*100 >= p.target*99 {
		p.target = 0
		g.figures.latejoin.Add(now, int64(now-p.since))
	}
}

// saw notes that a node knows an offer, and whether it is another's.
func (g *game) saw(p *player, which publication, name string, now time.Duration) (others bool) {
	others = name != p.name
	at := time.UnixMilli(int64(which.sequence)).Sub(g.began)
	for _, o := range g.nodes {
		if o.name == name {
			o.told = true
		}
	}
	n := g.news[which]
	if n == nil {
		if len(g.news) >= maxNews {
			return others
		}
		n = &news{at: at, seen: map[int]time.Duration{}, due: map[int]bool{}}
		g.news[which] = n
		for _, o := range g.nodes {
			if o.isUp && o.target == 0 && o.since < at && o.name != name {
				n.due[o.index] = true
			}
		}
		if at >= 0 {
			g.figures.published.Add(at, 1)
		}
	}
	if _, known := n.seen[p.index]; others && !known {
		n.seen[p.index] = now
		if n.due[p.index] {
			g.figures.delivered.Add(now, 1)
			g.figures.delivery.Add(now, int64(max(now-at, 0)))
		}
	}
	return others
}

// reached tells how many copies of offers should have come, and how many did in
// time, or were overtaken by a newer offer of the same node.
func (g *game) reached() (due, reached int) {
	end := g.now()
	for which, n := range g.news {
		if end-n.at < settled {
			continue // it may still be on the way
		}
		for i := range n.due {
			p := g.nodes[i]
			if !p.isUp || p.since > n.at { // it was not there all the time
				continue
			}
			due++
			for other, o := range g.news {
				if other.node == which.node && other.sequence >= which.sequence && o.inTime(i, n.at) {
					reached++
					break
				}
			}
		}
	}
	return due, reached
}

// inTime reports whether a node was seen to know it, soon after that instant.
func (n *news) inTime(node int, at time.Duration) bool {
	seen, known := n.seen[node]
	return known && seen <= at+settled
}

// count has every node that is up say how many slivers it has.
func (g *game) count(ctx context.Context) {
	g.task(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		sum := 0
		for _, p := range g.nodes {
			if !p.here() {
				continue
			}
			if s, err := p.way.Status(ctx); err == nil {
				sum += s.Slivers
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.figures.running.Set(g.now(), float64(sum))
		return nil
	})
}
