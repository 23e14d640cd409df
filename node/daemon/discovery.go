// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/role"
)

// discovery answers queries by whoever fills the role: docs/roles/discovery.md. What
// is told of an answer was verified.
type discovery struct {
	d   *Daemon
	own bool        // who asks is one of the node's own people
	not role.Tenant // who asks, if it is a sliver's slice
}

// Find answers a query.
func (f discovery) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	return f.Seek(ctx, req, func(offer.Found) error { return nil })
}

// Seek answers a query and tells matches as soon as they are sure to be of the answer:
// those of the built-in as they come, those of a slice when its answer is given.
func (f discovery) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	q, err := req.Parse()
	if err != nil {
		return offer.Result{}, err
	}
	s := f.d.seeking(q)
	inq, err := s.inquiry(req, f)
	if err != nil {
		return offer.Result{}, err
	}
	office := f.d.roles.offices[role.Discovery().Name]
	id, a := office.begin(inq)
	for {
		select {
		case <-s.more:
			if err := each(s.take(), tell); err != nil {
				office.abandon(id)
				return offer.Result{}, err
			}
		case <-ctx.Done():
			office.abandon(id)
			return offer.Result{}, context.Cause(ctx)
		case v := <-a.result:
			if v.err != nil {
				return offer.Result{}, v.err
			}
			res := v.answer.(*findAnswer).result(ctx)
			res.Tenant, res.Instead = string(v.tenant), v.instead
			if f.not != "" {
				res = discreet(res)
			}
			told := s.told()
			for _, o := range res.Offers {
				if told[o.Offer.Node] {
					continue
				}
				if err := tell(o); err != nil {
					return offer.Result{}, err
				}
			}
			return res, nil
		}
	}
}

// discreet is a result without what tells a sliver who fills the role: whose slice that
// is, and what it says, is between it and the node's owner.
func discreet(res offer.Result) offer.Result {
	if res.Tenant != string(role.Builtin) {
		res.Missed, res.Nearest = "", ""
		res.Offers = slices.Clone(res.Offers)
		for i := range res.Offers {
			res.Offers[i].Source = discreetSource
		}
	}
	res.Tenant, res.Instead = "", ""
	return res
}

// discreetSource is where a sliver is told that an offer is from.
const discreetSource offer.Source = "node"

// seeking is one query under way: what can be told of it already.
type seeking struct {
	d     *Daemon
	query offer.Query

	mu     sync.Mutex
	search *offer.Search
	list   []offer.Found
	taken  map[lease.Principal]bool
	more   chan struct{}
}

func (d *Daemon) seeking(q offer.Query) *seeking {
	return &seeking{d: d, query: q, taken: map[lease.Principal]bool{}, search: offer.NewSearch(q, d.seeker().Options()), more: make(chan struct{}, 1)}
}

// inquiry is the query as an office has it.
func (s *seeking) inquiry(req offer.FindRequest, who discovery) (inquiry, error) {
	ask, err := json.Marshal(findAskOf(req, s.query))
	if err != nil {
		return inquiry{}, fmt.Errorf("writing the question: %w", err)
	}
	return inquiry{call: "find", ask: ask, own: who.own, not: who.not,
		read:    func(t role.Tenant, trial bool) reading { return newFindReading(s, t, trial) },
		compare: func(given, other any) float64 { return agreement(s.query, given.(*findAnswer), other.(*findAnswer)) }}, nil
}

// found takes a verified match.
func (s *seeking) found(f offer.Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search.Add(s.d.deps.Clock.Wall(), f) {
		s.list = append(s.list, f)
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

func (s *seeking) take() (list []offer.Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, s.list = s.list, nil
	for _, f := range list {
		s.taken[f.Offer.Node] = true
	}
	return list
}

// told are the nodes that were told already.
func (s *seeking) told() map[lease.Principal]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// agreement is how many of the first nodes of two answers are the same. Where a
// query wants any few of many, it is whether both found as many, of nodes that
// somebody else knows of too. What does not match counts as found by nobody else.
func agreement(q offer.Query, given, other *findAnswer) float64 {
	a, b := given.first, other.first
	most := max(len(a), len(b)+other.wrong)
	same := 0
	for _, node := range b {
		if slices.Contains(a, node) || q.Limit > 0 && !q.Ordered() && other.viewed[node] {
			same++
		}
	}
	if most == 0 {
		return 1
	}
	return float64(min(same, most)) / float64(most)
}

// Seeker is what the node adds to the offers that a tenant finds: what it knows of
// the way to nodes and of who does not answer, and how it chooses among equals.
type Seeker interface {
	Present(o *offer.Offer) bool
	Options() offer.Options
	// Answer is [offer.Answer]; it measures what the query asks of the way.
	Answer(ctx context.Context, q offer.Query, found []offer.Found) offer.Result
}

func (d *Daemon) seeker() Seeker {
	if d.deps.Seeker == nil {
		return blind{}
	}
	return d.deps.Seeker
}

// view is what gossip told of nodes that are there, not to be changed.
func (d *Daemon) view() []*offer.Opened {
	if d.deps.View == nil {
		return nil
	}
	return d.deps.View()
}

// blind knows nothing of other nodes but their offers.
type blind struct{}

func (blind) Present(*offer.Offer) bool { return true }
func (blind) Options() offer.Options    { return offer.Options{} }
func (blind) Answer(_ context.Context, q offer.Query, found []offer.Found) offer.Result {
	return offer.Answer(q, found, offer.Options{})
}

// openedOffers are offers that were verified, by their bytes: several answers have
// the same.
type openedOffers struct {
	mu   sync.Mutex
	open func([]byte) (*offer.Opened, error)
	seen map[string]*offer.Opened
}

func newOpenedOffers(deps *Deps) *openedOffers {
	o := &openedOffers{open: deps.OpenOffer, seen: map[string]*offer.Opened{}}
	if o.open == nil {
		o.open = func(b []byte) (*offer.Opened, error) {
			opened, err := offer.Open(b, checkSite)
			return &opened, err
		}
	}
	return o
}

func (o *openedOffers) get(b []byte) (*offer.Opened, error) {
	o.mu.Lock()
	known := o.seen[string(b)]
	o.mu.Unlock()
	if known != nil {
		return known, nil
	}
	opened, err := o.open(b)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) >= maxOpened {
		clear(o.seen) // they are cheap to have again
	}
	o.seen[string(b)] = opened
	return opened, nil
}

// errLie says that a tenant's answer is none: what it says is refuted by itself.
var errLie = errors.New("lied")

var _ api.Discovery = discovery{}
