// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Whereabouts is what the node knows of where it and others are, for the role topology.
type Whereabouts interface {
	// Coordinate is where this node is; nil while it does not know.
	Coordinate() *offer.Coordinate
	// Place is what is known of one node.
	Place(lease.Principal) place
	// Around are nodes by which there may be a way to another, the nearest first.
	Around(to lease.Principal, most int) []place
	// Estimates are what comes of it.
	Estimates() *estimates
}

// estimates are how far the role topology says that nodes are. Who fills it is asked for
// an answer that is about round trips, and of what was not measured.
type estimates struct {
	ask func(ctx context.Context, nodes []place) ([]distance, error) // nil: nobody is asked

	mu    sync.Mutex
	known map[lease.Principal]estimate
}

type estimate struct {
	rtt time.Duration // 0: nobody can say
	at  time.Time
}

func (e *estimates) of(node lease.Principal) (time.Duration, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.known[node]
	return k.rtt, ok && time.Since(k.at) < estimateValid
}

// by is how far a node is that was not measured: who fills the role says it, or that nobody
// knows; of whom it was not asked about the coordinates do. So what is compared before
// anything is learned has estimates, too.
func (e *estimates) by(from *offer.Coordinate) func(*offer.Offer) time.Duration {
	return func(f *offer.Offer) time.Duration {
		if rtt, ok := e.of(f.Node); ok {
			return rtt
		}
		return offer.Estimate(from, f.Coordinate)
	}
}

// learn asks about those of whom nothing is known, some in each question and all questions
// at once, for so long: the time to measure is not the tenant's to take.
func (e *estimates) learn(ctx context.Context, nodes []place) {
	if e.ask == nil {
		return
	}
	nodes = slices.DeleteFunc(nodes, func(p place) bool { _, ok := e.of(p.Node); return ok || p.RTT > 0 })
	ctx, cancel := context.WithTimeout(ctx, learnLimit)
	defer cancel()
	var asking sync.WaitGroup
	for part := range slices.Chunk(nodes[:min(len(nodes), mostPlaced)], maxPlaced) {
		asking.Go(func() {
			if list, err := e.ask(ctx, part); err == nil { // else they are measured, if they matter
				e.put(part, list)
			}
		})
	}
	asking.Wait()
}

func (e *estimates) put(asked []place, list []distance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil || len(e.known) > maxEstimates {
		e.known = map[lease.Principal]estimate{} // they are cheap to have again
	}
	now := time.Now()
	for _, p := range asked {
		e.known[p.Node] = estimate{at: now}
	}
	for _, n := range list {
		e.known[n.Node] = estimate{time.Duration(n.RTT) * time.Microsecond, now}
	}
}

// estimated has the overlay's estimates be those of the role.
func (d *Daemon) estimated(e *estimates) {
	e.ask = func(ctx context.Context, nodes []place) ([]distance, error) {
		a, err := d.near().ask(ctx, d, inquirer{own: true}, nearAsk{Nodes: nodes})
		return a.answer.Nodes, err
	}
}

func (o *overlay) Estimates() *estimates { return o.estimates }

// Place is what the overlay knows of where a node is.
func (o *overlay) Place(node lease.Principal) place {
	p := place{Node: node}
	if o.gossip != nil {
		if f, ok := o.gossip.Offer(node); ok {
			p = o.placeOf(&f.Offer)
		}
	}
	if t, ok := o.rtts.get(node); ok {
		p.RTT = t.rtt.Microseconds()
	}
	return p
}

// placeOf is what an offer says of it, and what was measured.
func (o *overlay) placeOf(f *offer.Offer) place {
	p := place{Node: f.Node, Coordinate: f.Coordinate, AS: f.Attributes.AS, Least: offer.Light(o.position, f.Attributes.Position).Microseconds()}
	if t, ok := o.rtts.get(f.Node); ok {
		p.RTT = t.rtt.Microseconds()
	}
	return p
}

func (o *overlay) Coordinate() *offer.Coordinate {
	l := o.liveness()
	if l == nil {
		return nil
	}
	c, ok := l.Coordinate()
	if !ok {
		return nil
	}
	return &c
}

func (o *overlay) Around(to lease.Principal, most int) (list []place) {
	from := o.Coordinate()
	far := func(p place) time.Duration {
		return cmp.Or(time.Duration(p.RTT)*time.Microsecond, offer.Estimate(from, p.Coordinate), farthest)
	}
	for _, f := range o.present() {
		if f.Node != to && !o.rtts.silent(f.Node) {
			list = append(list, o.placeOf(&f.Offer))
		}
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(far(a), far(b)), bytes.Compare(a.Node[:], b.Node[:]))
	})
	return list[:min(len(list), most)]
}
