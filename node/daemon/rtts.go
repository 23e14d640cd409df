// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/wire"
)

// rtts are the round trips that this node measured of late, for answers.
type rtts struct {
	mu    sync.Mutex
	known map[lease.Principal]trip
	probe func(context.Context, lease.Principal) (time.Duration, error)
	news  func() // something was measured; may be nil
}

type trip struct {
	rtt time.Duration // 0: there was no answer
	at  time.Time
}

// newRTTs measures by probes, from which this node learns its coordinate too.
func (o *overlay) newRTTs() *rtts {
	return &rtts{known: map[lease.Principal]trip{}, news: o.news, probe: func(ctx context.Context, node lease.Principal) (time.Duration, error) {
		if id, err := wire.PeerID(node); err == nil && id == o.host.ID() {
			return time.Microsecond, nil // nothing is nearer
		}
		rtt, echo, err := o.prober.Probe(ctx, node, nil)
		if l := o.liveness(); err == nil && l != nil {
			l.Learn(node, rtt, echo)
		}
		return rtt, err
	}}
}

func (r *rtts) get(node lease.Principal) (trip, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.known[node]
	return t, ok && time.Since(t.at) < rttValid
}

// nodes are those that were measured of late, in the order of their ids.
func (r *rtts) nodes() (list []lease.Principal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for node, t := range r.known {
		if time.Since(t.at) < rttValid {
			list = append(list, node)
		}
	}
	slices.SortFunc(list, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	return list
}

func (r *rtts) put(node lease.Principal, rtt time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxRTTs {
		clear(r.known) // they are cheap to have again
	}
	r.known[node] = trip{rtt, time.Now()}
	if r.news != nil {
		r.news()
	}
}

func (r *rtts) measured(node lease.Principal) offer.Measured {
	if t, ok := r.get(node); ok {
		return offer.Measured{RTT: t.rtt}
	}
	return offer.Measured{}
}

// silent reports whether a node did not answer when it was last measured.
func (r *rtts) silent(node lease.Principal) bool {
	t, ok := r.get(node)
	return ok && t.rtt == 0
}

// measure asks nodes that were not asked of late.
func (r *rtts) measure(ctx context.Context, nodes []lease.Principal) {
	var g errgroup.Group
	g.SetLimit(measuring)
	for _, node := range nodes {
		g.Go(func() error {
			one, cancel := context.WithTimeout(ctx, alive.Timeout)
			defer cancel()
			rtt, err := r.probe(one, node)
			if ctx.Err() == nil { // else it had no time to answer
				if err != nil {
					rtt = 0
				}
				r.put(node, rtt)
			}
			return nil
		})
	}
	_ = g.Wait()
}

// answer answers a query. Where it is about round-trip times, those whom it would
// name are measured first, and who was only estimated to be near falls out.
func (r *rtts) answer(ctx context.Context, q offer.Query, found []offer.Found, opt offer.Options) offer.Result {
	res := offer.Answer(q, found, opt)
	if !q.AsksRTT() {
		return res
	}
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	nodes := r.unknown(res.Offers)
	if res.Matched < enough(offer.FindRequest{}, q) { // there may be some whose offers do not say where they are
		blind := q
		blind.Constraints = slices.DeleteFunc(slices.Clone(q.Constraints), func(c offer.Constraint) bool { return c.Attr == "rtt" })
		others := offer.Answer(blind, found, opt).Offers
		nodes = append(nodes, r.unknown(slices.DeleteFunc(others, func(f offer.Found) bool { return f.RTT > 0 }))...)
	}
	for range maxTurns {
		if len(nodes) == 0 || ctx.Err() != nil {
			break
		}
		r.measure(ctx, nodes)
		res = offer.Answer(q, found, opt)
		nodes = r.unknown(res.Offers)
	}
	return res
}

// unknown are those of a short list who were not asked of late.
func (r *rtts) unknown(list []offer.Found) (nodes []lease.Principal) {
	for _, f := range list[:min(len(list), shortList)] {
		if _, ok := r.get(f.Offer.Node); !ok {
			nodes = append(nodes, f.Offer.Node)
		}
	}
	return nodes
}
