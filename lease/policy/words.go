// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"croft/lease"
)

// Sentence is one rule as people say it.
type Sentence struct {
	About string `json:"about"` // "capacity", "pool commons", "give alice", …
	Text  string `json:"text"`
}

// Words says what the policy means, pool by pool and peer by peer.
func (p Policy) Words() []Sentence {
	var out []Sentence
	say := func(about, format string, args ...any) {
		out = append(out, Sentence{about, fmt.Sprintf(format, args...)})
	}
	say("capacity", "leased in all: %s", p.Capacity)
	for _, pool := range p.Pools {
		say("pool "+string(pool.Name), "%s", pool.words())
	}
	for _, g := range p.Gives {
		say("give "+g.To.Name, "always has a ticket of %s for %s, %s; the next is signed by half of its term",
			g.RSet, FormatSpan(g.Term), degree(g.Degree))
	}
	if len(p.Refused) > 0 {
		say("refused", "%s: asks and redeems are refused with local:policy; what they have runs on", people(p.Refused))
	}
	say("times", "a hold falls after %s, a lease that is not activated after %s; a revoke takes effect %s after it is signed; a quarantine outlasts its conflict by %s",
		FormatSpan(p.Hold), FormatSpan(p.Activation), FormatSpan(p.Grace), FormatSpan(p.Quarantine))
	for _, n := range p.Notes {
		say("note", "%s: %s", n.At, n.Text)
	}
	return out
}

func degree(d uint16) string {
	if d == lease.MinDegree {
		return "which its holder may not promise twice"
	}
	return fmt.Sprintf("of which its holder may promise %d.%02d times as much", d/100, d%100)
}

func (p Pool) words() string {
	if p.Capacity.IsZero() {
		return "closed: it has no capacity"
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	who := "anybody"
	if len(p.Only) > 0 {
		who = people(p.Only) + " only"
	}
	switch p.Mechanism {
	case Sharp:
		say("%s for those who hold tickets", p.Capacity)
	case Share:
		say("%s and what is idle elsewhere, shared by weight up to %d, for %s; leases go with %s notice", p.Capacity, p.MaxWeight, who, FormatSpan(p.Notice))
	case Calendar:
		alone := ""
		if p.Exclusive {
			alone = ", the whole pool at a time if asked for"
		}
		say("%s by reservation up to %s ahead%s, for %s; who has not begun after %s loses it", p.Capacity, FormatSpan(p.Ahead), alone, who, FormatSpan(p.NoShow))
	case Allocator:
		say("%s for %s, as who fills the role allocator decides", p.Capacity, who)
	default:
		say("%s for %s, first come, first served", p.Capacity, who)
	}
	if p.IdleOnly {
		say("only while it is idle: leases go with %s notice", FormatSpan(p.Notice))
	}
	if !p.Each.IsZero() {
		say("one principal at most %s", p.Each)
	}
	if !p.Network.IsZero() {
		say("one source network at most %s, where it is seen directly", p.Network)
	}
	if p.Longest > 0 {
		say("for %s at most", FormatSpan(p.Longest))
	}
	return strings.Join(parts, "; ")
}
