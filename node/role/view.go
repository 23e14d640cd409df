// SPDX-License-Identifier: Apache-2.0

package role

import (
	"maps"
	"slices"
	"time"
)

// Place is what a tenant is to a role.
type Place string

const (
	Incumbent  Place = "incumbent"  // asked first
	Fallback   Place = "fallback"   // asked when those before it do not answer
	Challenger Place = "challenger" // asked as well, its answers compared and thrown away
	Offered    Place = "offered"    // it serves, and nobody tries it yet
)

// Standing is one tenant as it is seen.
type Standing struct {
	Tenant Tenant
	Place  Place
	Here   bool      // it can be asked
	Since  time.Time // zero: from the beginning
	Why    string    // it holds the role
	Until  time.Time // it is passed over; in the past: it is not
	Score  Score
}

// Standings are all tenants: the chain in its order, the challengers, then who
// offers himself, by name. A fallback that is tried is told as a challenger.
func (s *Succession) Standings() (list []Standing) {
	seen := map[Tenant]bool{}
	add := func(place Place, h Held) {
		seen[h.Tenant] = true
		st := Standing{Tenant: h.Tenant, Place: place, Here: s.here[h.Tenant], Since: h.Since, Why: h.Why}
		if known := s.standing[h.Tenant]; known != nil {
			st.Until, st.Score = known.until, known.score
		}
		list = append(list, st)
	}
	for i, t := range s.Chain() {
		h := Held{Tenant: t}
		if at := slices.IndexFunc(s.holders, func(h Held) bool { return h.Tenant == t }); at >= 0 {
			h = s.holders[at]
		}
		switch {
		case i == 0:
			add(Incumbent, h)
		case !tenantIn(s.trials, t):
			add(Fallback, h)
		}
	}
	for _, h := range s.trials {
		if !seen[h.Tenant] {
			add(Challenger, h)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(s.here)) {
		if !seen[t] {
			add(Offered, Held{Tenant: t})
		}
	}
	return list
}

// Past are the newest facts, at most MaxHistory, oldest first.
func (s *Succession) Past() []Fact { return slices.Clone(s.past) }
