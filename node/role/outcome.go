// SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

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

func (s *Succession) give(r *request, p *put) {
	p.state = closed
	r.given, r.over = p.tenant, true
	s.emit(Give{r.id, p.tenant, r.why})
	s.compare(r)
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
			if in.Idle {
				continue // it earns nothing by saying nothing
			}
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
		if !r.fails { // else nobody knows whose fault it is
			st.score.compared(0)
		}
		return
	}
	r.fails = true
	if !s.now.Before(st.until) { // what was under way with it fails as one
		st.rest = min(max(2*st.rest, MinRest), MaxRest)
		st.until = s.now.Add(st.rest)
	}
	r.why = p.tenant.Short() + " " + why
	next := "nobody"
	if t, ok := s.next(r); ok {
		next = t.Short()
	}
	st.untold++
	if times := st.untold; st.tell(s.now) {
		more := ""
		if times > 1 {
			more = fmt.Sprintf("; it failed %d times since this was last told", times)
		}
		s.say("%s %s: %s is asked instead, %[1]s not for %[4]s%[5]s", p.tenant.Short(), why, next, st.until.Sub(s.now), more)
	}
}

// tell reports whether something of a tenant is told now, or it was of late.
func (st *standing) tell(now time.Time) bool {
	if !st.said.IsZero() && now.Sub(st.said) < SayEvery {
		return false
	}
	st.said, st.untold = now, 0
	return true
}

// well: a tenant answered.
func (s *Succession) well(t Tenant) {
	st := s.of(t)
	if st.rest > 0 {
		st.rest, st.until = 0, s.now
		if st.again.IsZero() || s.now.Sub(st.again) >= SayEvery {
			st.again = s.now
			s.say("%s answers again", t.Short())
		}
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
