// SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// request is what somebody asked and has no answer to, or whose challengers have
// not answered.
type request struct {
	id    uint64
	call  Call
	own   bool
	end   time.Time // nobody is asked after it
	not   Tenant
	puts  []*put // in the order in which they were asked
	given Tenant // whose answer was given; empty: none yet
	over  bool   // who asked has an answer, or was told that there is none
	why   string // the last failure, or why somebody is not asked
	fails bool   // who was asked for good failed
}

// put is one tenant that is asked.
type put struct {
	tenant Tenant
	trial  bool
	by     time.Time
	state  putState
}

type putState int

const (
	waiting   putState = iota // for the answer
	answered                  // a challenger, before what is given
	comparing                 // a challenger's answer
	closed
)

func (p *put) open() bool { return p.state == waiting || p.state == comparing }

// ids are the requests under way, in their order.
func (s *Succession) ids() []uint64 { return slices.Sorted(maps.Keys(s.requests)) }

// Open reports whether anything of a request is still awaited.
func (s *Succession) Open(id uint64) bool { return s.requests[id] != nil }

func (s *Succession) ask(in Ask) {
	call, ok := s.cfg.Role.Call(in.Call)
	switch {
	case !ok:
		s.emit(Fail{in.ID, fmt.Sprintf("the role %s has no call %.40q", s.cfg.Role.Name, in.Call)})
		return
	case len(s.requests) >= MaxRequests:
		s.emit(Fail{in.ID, fmt.Sprintf("%d requests are under way, and no more are taken", MaxRequests)})
		return
	case s.requests[in.ID] != nil:
		return // a mistake of who numbers them: the first goes on
	case !in.Own && s.count(func(r *request) bool { return !r.own }) >= MaxRequests/2:
		s.emit(Fail{in.ID, fmt.Sprintf("busy: %d requests of slivers are under way, and no more are taken", MaxRequests/2)})
		return
	case in.Not != "" && s.count(func(r *request) bool { return r.not == in.Not }) >= MaxPerSlice:
		s.emit(Fail{in.ID, fmt.Sprintf("busy: %d requests of this slice are under way, and no more are taken", MaxPerSlice)})
		return
	}
	r := &request{id: in.ID, call: call, own: in.Own, not: in.Not, end: s.now.Add(MaxWhole)}
	s.requests[in.ID] = r
	asked, ok := s.next(r)
	if !ok || !in.Own && s.cfg.Share != ShareAll {
		return
	}
	by := s.now.Add(call.Within) // when another would be asked: who answers later never earns anything
	for _, h := range s.trials {
		if h.Tenant != in.Not && h.Tenant != asked && s.here[h.Tenant] && !s.full(h.Tenant, in.Own) {
			s.put(r, &put{tenant: h.Tenant, trial: true, by: by})
		}
	}
}

// count counts the requests under way.
func (s *Succession) count(which func(*request) bool) (n int) {
	for _, r := range s.requests {
		if which(r) {
			n++
		}
	}
	return n
}

// full reports whether a tenant is asked no more at the moment. Half of what it has in
// flight is left to the node's own people.
func (s *Succession) full(t Tenant, own bool) bool {
	all, slivers := 0, 0
	for _, r := range s.requests {
		if p := r.of(t); p != nil && p.state == waiting {
			if all++; !r.own {
				slivers++
			}
		}
	}
	return all >= MaxInFlight || !own && slivers >= MaxInFlight/2
}

// next asks who comes next in the chain, and returns him, or false where there is
// nobody. Who failed of late is asked only when there is nobody else.
func (s *Succession) next(r *request) (Tenant, bool) {
	var fit, resting []Tenant
	chain, busy := s.Chain(), ""
	passed := "" // why the first in line is not asked
	for i, t := range chain {
		p, why := r.of(t), ""
		switch {
		case p != nil && (p.state == closed || !p.trial) || t == r.not:
		case p == nil && !s.here[t]:
			why = "is not there"
		case p == nil && s.full(t, r.own):
			why = "is busy"
			busy = t.Short() + " " + why
		case s.now.Before(s.of(t).until):
			why = "failed just now"
			resting = append(resting, t)
		default:
			fit = append(fit, t)
		}
		if i == 0 && len(r.puts) == 0 {
			passed = why
		}
	}
	list := append(fit, resting...)
	if len(list) == 0 || !s.now.Before(r.end) {
		why := cmp.Or(busy, "nobody who fills this role is there")
		switch {
		case len(list) > 0:
			why = fmt.Sprintf("%s, and no answer came in %s", r.why, MaxWhole)
		case r.why != "":
			why = r.why + ", and there is nobody else"
		}
		r.over = true
		s.emit(Fail{r.id, why})
		return "", false
	}
	if passed != "" && list[0] != chain[0] {
		r.why = chain[0].Short() + " " + passed
		if st := s.of(chain[0]); st.tell(s.now) {
			s.say("%s: %s is asked instead", r.why, list[0].Short())
		}
	}
	p := r.of(list[0])
	if p != nil && p.state == answered { // as a challenger
		p.trial = false
		s.give(r, p)
		return list[0], true
	}
	within := r.call.Within
	if len(fit) <= 1 {
		within = r.call.Last
	}
	within = min(within, r.end.Sub(s.now))
	if p != nil { // it has begun for less, and is asked anew
		s.emit(Cancel{r.id, p.tenant})
		p.trial, p.by = false, s.now.Add(within)
		s.emit(Put{r.id, p.tenant, r.call, p.by, false})
		return list[0], true
	}
	s.put(r, &put{tenant: list[0], by: s.now.Add(within)})
	return list[0], true
}

// of is what a tenant is asked, nil if nothing.
func (r *request) of(t Tenant) *put {
	for _, p := range r.puts {
		if p.tenant == t {
			return p
		}
	}
	return nil
}

func (s *Succession) put(r *request, p *put) {
	r.puts = append(r.puts, p)
	st := s.of(p.tenant)
	st.asked = s.now
	st.score.Asked++
	s.emit(Put{r.id, p.tenant, r.call, p.by, p.trial})
}
