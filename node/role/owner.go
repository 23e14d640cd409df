// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"slices"
)

func tenantIn(list []Held, t Tenant) bool {
	return slices.ContainsFunc(list, func(h Held) bool { return h.Tenant == t })
}

// try makes a tenant a challenger; what it returns is why not.
func (s *Succession) try(t Tenant) string {
	incumbent, _ := s.Incumbent()
	switch {
	case t == Builtin && !s.cfg.Builtin:
		return "this node was built without it"
	case t == incumbent:
		return "it holds the role already"
	case tenantIn(s.trials, t):
		return ""
	case len(s.trials) >= MaxTried:
		return fmt.Sprintf("%d are tried already, limit %d: drop one", len(s.trials), MaxTried)
	}
	s.of(t).score = Score{}
	s.decide(FactTried, t, "")
	return ""
}

func (s *Succession) drop(t Tenant) string {
	incumbent, _ := s.Incumbent()
	switch {
	case t == incumbent && !tenantIn(s.trials, t):
		return "it holds the role: demote it"
	case !tenantIn(s.trials, t) && !tenantIn(s.holders, t):
		return "it is neither tried nor a fallback"
	}
	s.decide(FactDropped, t, "")
	s.withdraw(t)
	return ""
}

func (s *Succession) promote(t Tenant) string {
	incumbent, _ := s.Incumbent()
	switch {
	case t == Builtin && !s.cfg.Builtin:
		return "this node was built without it"
	case t == incumbent:
		return "it holds the role already"
	case t != Builtin && !tenantIn(s.trials, t) && !tenantIn(s.holders, t):
		return "it was not tried: try it first"
	}
	s.hold(t, "")
	return ""
}

// hold gives the role to t. It is the same as if t had never failed.
func (s *Succession) hold(t Tenant, why string) {
	s.decide(FactHeld, t, why)
	st := s.of(t)
	st.rest, st.until = 0, s.now
	if why == "" {
		why = "by its owner"
	}
	s.say("%s holds the role from now on (%s)", t.Short(), why)
}

func (s *Succession) demote() string {
	chain := s.Chain()
	if len(chain) < 2 {
		return "there is nobody who could take over"
	}
	old, next := chain[0], chain[1]
	s.decide(FactDropped, old, "demoted")
	s.hold(next, old.Short()+" was demoted")
	return ""
}

// judge looks whether a challenger is good enough by the owner's rule.
func (s *Succession) judge(t Tenant) {
	incumbent, _ := s.Incumbent()
	if !tenantIn(s.trials, t) || t == incumbent {
		return
	}
	var holds Score
	if st := s.standing[incumbent]; st != nil {
		holds = st.score
	}
	if s.cfg.Rule.met(s.of(t).score, holds) {
		s.hold(t, "rule: "+s.cfg.Rule.String())
	}
}

// withdraw takes back what a tenant is asked as a challenger, when it is none any
// more. What it was asked as a holder it may still answer.
func (s *Succession) withdraw(t Tenant) {
	for _, id := range s.ids() {
		for _, p := range s.requests[id].puts {
			if p.trial && p.tenant == t && p.open() {
				s.close(s.requests[id], p)
			}
		}
	}
}
