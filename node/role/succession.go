// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"slices"
	"time"
)

// Share says whose requests a challenger gets copies of.
type Share string

const (
	ShareOwn Share = "own" // those of the node's own people
	ShareAll Share = "all" // those of its slivers as well
)

// Config is what a Succession is made with.
type Config struct {
	Role    Role
	Builtin bool  // there is a tenant of that name
	Share   Share // empty is ShareOwn
	Rule    Rule
}

// Succession is the machine of one role on one node.
type Succession struct {
	cfg     Config
	holders []Held // newest first: the incumbent, then who held the role before
	trials  []Held
	past    []Fact // oldest first

	here     map[Tenant]bool
	standing map[Tenant]*standing
	requests map[uint64]*request

	now   time.Time
	facts []Effect
	out   []Effect
}

// Held is a tenant and since when it is tried, or holds the role.
type Held struct {
	Tenant Tenant
	Since  time.Time
	Why    string
}

// standing is how a tenant does.
type standing struct {
	score Score
	asked time.Time // lately

	rest  time.Duration // how long it was passed over the last time; 0: it answered since
	until time.Time     // it is passed over

	said   time.Time // when its failures were told
	again  time.Time // when it was told that it answers again
	untold int       // since
}

// New makes a succession without a past: builtin is the incumbent, if there is one.
func New(cfg Config) *Succession {
	s := &Succession{cfg: cfg, here: map[Tenant]bool{}, standing: map[Tenant]*standing{}, requests: map[uint64]*request{}}
	if cfg.Builtin {
		s.here[Builtin] = true
	}
	return s
}

// Restore takes a fact back, in the order in which they were emitted, before the
// first Step.
func (s *Succession) Restore(f Fact) { s.apply(f) }

// Facts returns facts that restore who is tried and who holds the role.
func (s *Succession) Facts() (facts []Fact) {
	for _, h := range slices.Backward(s.holders) {
		facts = append(facts, Fact{s.cfg.Role.Name, FactHeld, h.Tenant, h.Since, h.Why})
	}
	for _, h := range s.trials {
		facts = append(facts, Fact{s.cfg.Role.Name, FactTried, h.Tenant, h.Since, h.Why})
	}
	return facts
}

// Chain is who is asked, in order: the incumbent, the earlier holders, newest
// first, and builtin, if it was built in.
func (s *Succession) Chain() []Tenant {
	chain := make([]Tenant, 0, len(s.holders)+1)
	for _, h := range s.holders {
		if h.Tenant != Builtin || s.cfg.Builtin {
			chain = append(chain, h.Tenant)
		}
	}
	if s.cfg.Builtin && !slices.Contains(chain, Builtin) {
		chain = append(chain, Builtin)
	}
	return chain
}

// Incumbent is the first of the chain, and false where there is nobody.
func (s *Succession) Incumbent() (Tenant, bool) {
	chain := s.Chain()
	if len(chain) == 0 {
		return "", false
	}
	return chain[0], true
}

// Step advances the machine to now, applies one input and returns what is to be
// done, facts first.
func (s *Succession) Step(now time.Time, in Input) []Effect {
	s.now, s.facts, s.out = now, nil, nil
	s.expire()
	switch in := in.(type) {
	case Try:
		s.done(in.Ref, s.try(in.Tenant))
	case Drop:
		s.done(in.Ref, s.drop(in.Tenant))
	case Promote:
		s.done(in.Ref, s.promote(in.Tenant))
	case Demote:
		s.done(in.Ref, s.demote())
	case Here:
		s.here[in.Tenant] = true
	case Gone:
		s.gone(in.Tenant, in.Why)
	case Ask:
		s.ask(in)
	case Abandon:
		s.abandon(in.ID)
	case Answered:
		s.answered(in)
	case Compared:
		s.compared(in)
	}
	s.settle()
	return append(s.facts, s.out...)
}

// NextWake reports when Step must next be called with a Tick.
func (s *Succession) NextWake() (wake time.Time, ok bool) {
	for _, r := range s.requests {
		for _, p := range r.puts {
			if p.open() && (!ok || p.by.Before(wake)) {
				wake, ok = p.by, true
			}
		}
	}
	return wake, ok
}

func (s *Succession) emit(e Effect) { s.out = append(s.out, e) }

func (s *Succession) done(ref uint64, why string) { s.emit(Done{ref, why}) }

// decide emits a fact and applies it.
func (s *Succession) decide(kind FactKind, t Tenant, why string) {
	f := Fact{s.cfg.Role.Name, kind, t, s.now.UTC(), why}
	s.facts = append(s.facts, f)
	s.apply(f)
}

// apply is all that a fact does.
func (s *Succession) apply(f Fact) {
	isHim := func(h Held) bool { return h.Tenant == f.Tenant }
	s.trials = slices.DeleteFunc(s.trials, isHim)
	switch f.Kind {
	case FactTried:
		s.trials = append(s.trials, Held{f.Tenant, f.At, f.Why})
	case FactHeld:
		s.holders = slices.Insert(slices.DeleteFunc(s.holders, isHim), 0, Held{f.Tenant, f.At, f.Why})
		s.holders = s.holders[:min(len(s.holders), MaxHolders)]
	case FactDropped:
		s.holders = slices.DeleteFunc(s.holders, isHim)
	}
	if s.past = append(s.past, f); len(s.past) > MaxHistory {
		s.past = slices.Delete(s.past, 0, 1)
	}
}

// of is the standing of a tenant. Of too many, who was asked least lately is
// forgotten.
func (s *Succession) of(t Tenant) *standing {
	if st := s.standing[t]; st != nil {
		return st
	}
	if len(s.standing) >= MaxScores {
		var oldest Tenant
		for other, st := range s.standing {
			if o := s.standing[oldest]; o == nil || st.asked.Before(o.asked) || st.asked.Equal(o.asked) && other < oldest {
				oldest = other
			}
		}
		delete(s.standing, oldest)
	}
	st := &standing{}
	s.standing[t] = st
	return st
}

func (s *Succession) say(format string, args ...any) {
	s.emit(Say{s.cfg.Role.Name + ": " + fmt.Sprintf(format, args...)})
}
