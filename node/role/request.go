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
	not   Tenant
	puts  []*put // in the order in which they were asked
	given Tenant // whose answer was given; empty: none yet
	over  bool   // who asked has an answer, or was told that there is none
	why   string // the last failure
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
	}
	r := &request{id: in.ID, call: call, not: in.Not}
	s.requests[in.ID] = r
	asked, ok := s.next(r)
	if !ok || !in.Own && s.cfg.Share != ShareAll {
		return
	}
	by := r.puts[0].by
	for _, h := range s.trials {
		if h.Tenant != in.Not && h.Tenant != asked && s.here[h.Tenant] && s.inFlight(h.Tenant) < MaxInFlight {
			s.put(r, &put{tenant: h.Tenant, trial: true, by: by})
		}
	}
}

// next asks who comes next in the chain, and returns him, or false where there is
// nobody. Who failed of late is asked only when there is nobody else.
func (s *Succession) next(r *request) (Tenant, bool) {
	var fit, resting []Tenant
	for _, t := range s.Chain() {
		p := r.of(t)
		switch {
		case p != nil && (p.state == closed || !p.trial) || t == r.not:
		case p == nil && (!s.here[t] || s.inFlight(t) >= MaxInFlight):
		case s.now.Before(s.of(t).until):
			resting = append(resting, t)
		default:
			fit = append(fit, t)
		}
	}
	list := append(fit, resting...)
	if len(list) == 0 {
		why := "nobody who fills this role is there"
		if r.why != "" {
			why = r.why + ", and there is nobody else"
		}
		r.over = true
		s.emit(Fail{r.id, why})
		return "", false
	}
	if p := r.of(list[0]); p != nil { // it is asked as a challenger already
		s.engage(r, p)
		return list[0], true
	}
	within := r.call.Within
	if len(fit) <= 1 {
		within = r.call.Last
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

// engage has a fallback that happens to be tried as well answer for good.
func (s *Succession) engage(r *request, p *put) {
	p.trial = false
	if p.state == answered {
		s.give(r, p)
	}
}

func (s *Succession) give(r *request, p *put) {
	p.state = closed
	r.given, r.over = p.tenant, true
	s.emit(Give{r.id, p.tenant, r.why})
	s.compare(r)
}

func (s *Succession) put(r *request, p *put) {
	r.puts = append(r.puts, p)
	st := s.of(p.tenant)
	st.asked = s.now
	st.score.Asked++
	s.emit(Put{r.id, p.tenant, r.call, p.by, p.trial})
}

// inFlight counts what a tenant is asked at the moment.
func (s *Succession) inFlight(t Tenant) (n int) {
	for _, r := range s.requests {
		for _, p := range r.puts {
			if p.tenant == t && p.state == waiting {
				n++
			}
		}
	}
	return n
}

// waits is the put of a tenant that waits for its answer.
func (s *Succession) waits(id uint64, t Tenant) (*request, *put) {
	r := s.requests[id]
	if r == nil {
		return nil, nil
	}
	for _, p := range r.puts {
		if p.tenant == t && p.state == waiting {
			return r, p
		}
	}
	return nil, nil
}

func (s *Succession) answered(in Answered) {
	r, p := s.waits(in.ID, in.Tenant)
	if p == nil {
		return // too late, or asked by nobody
	}
	if in.Why != "" {
		s.failure(r, p, in.Why)
		return
	}
	s.of(p.tenant).score.answered(in.Took)
	s.well(p.tenant)
	if p.trial {
		p.state = answered
		s.compare(r)
		return
	}
	s.give(r, p)
}

// compare has the answers of challengers compared, once there is what to compare
// them with.
func (s *Succession) compare(r *request) {
	for _, p := range r.puts {
		if p.trial && p.state == answered && r.given != "" {
			p.state, p.by = comparing, s.now.Add(CompareWithin)
			s.emit(Compare{r.id, p.tenant, r.given})
		}
	}
}

func (s *Succession) compared(in Compared) {
	r := s.requests[in.ID]
	if r == nil {
		return
	}
	for _, p := range r.puts {
		if p.tenant == in.Tenant && p.state == comparing {
			p.state = closed
			s.of(p.tenant).score.compared(in.Agreement)
			s.judge(p.tenant)
		}
	}
}

// failure is one of a tenant that was asked: somebody else is, in its stead.
func (s *Succession) failure(r *request, p *put, why string) {
	p.state = closed
	st := s.of(p.tenant)
	st.score.failed(why)
	if p.trial {
		if r.why == "" { // else nobody knows whose fault it is
			st.score.compared(0)
		}
		return
	}
	st.rest = min(max(2*st.rest, MinRest), MaxRest)
	st.until = s.now.Add(st.rest)
	r.why = p.tenant.Short() + " " + why
	next := "nobody"
	if t, ok := s.next(r); ok {
		next = t.Short()
	}
	st.untold++
	if st.said.IsZero() || s.now.Sub(st.said) >= SayEvery {
		more := ""
		if st.untold > 1 {
			more = fmt.Sprintf("; it failed %d times since this was last told", st.untold)
		}
		s.say("%s %s: %s is asked instead, %[1]s not for %[4]s%[5]s", p.tenant.Short(), why, next, st.rest, more)
		st.said, st.untold = s.now, 0
	}
}

// well: a tenant answered.
func (s *Succession) well(t Tenant) {
	st := s.of(t)
	if st.rest > 0 {
		st.rest, st.until = 0, s.now
		s.say("%s answers again", t.Short())
	}
}

// close ends a put whose answer nobody wants any more.
func (s *Succession) close(r *request, p *put) {
	if p.state == waiting {
		s.emit(Cancel{r.id, p.tenant})
	}
	p.state = closed
}

func (s *Succession) gone(t Tenant, why string) {
	delete(s.here, t)
	for _, id := range s.ids() {
		if r, p := s.waits(id, t); p != nil {
			s.failure(r, p, cmp.Or(why, "went away"))
		}
	}
}

// abandon ends a request for which nobody waits. What challengers answer to it is
// of no use either.
func (s *Succession) abandon(id uint64) {
	r := s.requests[id]
	if r == nil || r.over {
		return
	}
	r.over = true
	for _, p := range r.puts {
		s.close(r, p)
	}
}

// expire ends what took too long.
func (s *Succession) expire() {
	for _, id := range s.ids() {
		r := s.requests[id]
		for i := 0; i < len(r.puts); i++ { // grows meanwhile
			p := r.puts[i]
			if !p.open() || s.now.Before(p.by) {
				continue
			}
			if p.state == comparing {
				p.state = closed
				continue
			}
			s.emit(Cancel{r.id, p.tenant})
			s.failure(r, p, "was silent")
		}
	}
}

// settle forgets requests of which nothing is open any more. Where no answer was
// given, those of challengers are compared with nothing.
func (s *Succession) settle() {
	for _, id := range s.ids() {
		r := s.requests[id]
		if r.over && r.given == "" {
			for _, p := range r.puts {
				s.close(r, p)
			}
		}
		if r.over && !slices.ContainsFunc(r.puts, func(p *put) bool { return p.state != closed }) {
			delete(s.requests, id)
		}
	}
}
