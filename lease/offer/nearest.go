// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// A miss is the candidates that fail the same constraints and no others.
type miss struct {
	failed     []Constraint
	candidates []*Found
	opt        Options
}

// nearest says what to loosen: as few constraints as possible, those that win most
// nodes. What it says does not hang on the order of a map.
func nearest(q Query, candidates []Found, misses map[uint32][]int, opt Options) string {
	fewest := len(q.Constraints) + 1
	for set := range misses {
		fewest = min(fewest, bits.OnesCount32(set))
	}
	best, won := "", 0
	for _, set := range slices.Sorted(maps.Keys(misses)) {
		if bits.OnesCount32(set) != fewest {
			continue
		}
		m := miss{opt: opt}
		for i, c := range q.Constraints {
			if set&(1<<i) != 0 {
				m.failed = append(m.failed, c)
			}
		}
		for _, n := range misses[set] {
			m.candidates = append(m.candidates, &candidates[n])
		}
		if text, n := m.loosen(); n > won {
			best, won = text, n
		}
	}
	return best
}

// loosen finds the smallest changes that let somebody in, and counts whom they let
// in.
func (m miss) loosen() (string, int) {
	at := slices.MinFunc(m.candidates, func(a, b *Found) int { // the first of equals
		return cmp.Compare(m.far(a), m.far(b))
	})
	var changes []Constraint // those that a number loosens
	var words []string
	for _, c := range m.failed {
		if to, ok := c.toward(&at.Offer, m.opt); ok {
			changes = append(changes, to)
			words = append(words, "if "+to.String())
		} else {
			words = append(words, "without "+c.String())
		}
	}
	won := m.count(changes)
	text := more(won)
	if len(m.failed) == 1 && len(changes) == 0 {
		return m.other(m.failed[0])
	}
	for i, w := range words {
		if i > 0 {
			text += " and"
			if strings.HasPrefix(w, "if ") && strings.HasPrefix(words[i-1], "if ") {
				w = strings.TrimPrefix(w, "if ")
			}
		}
		text += " " + w
	}
	if len(m.failed) == 1 {
		text += m.further(m.failed[0], won)
	}
	return text, won
}

// more begins a suggestion.
func more(nodes int) string {
	if nodes == 1 {
		return "1 more node"
	}
	return fmt.Sprintf("%d more nodes", nodes)
}

// count is how many meet all of the changed constraints.
func (m miss) count(changed []Constraint) (n int) {
	for _, f := range m.candidates {
		if !slices.ContainsFunc(changed, func(c Constraint) bool { return !c.Holds(&f.Offer, m.opt.measured(&f.Offer)) }) {
			n++
		}
	}
	return n
}

// far is how much of what was wished a candidate lacks, over all constraints: 1
// for a constraint that only dropping would help.
func (m miss) far(f *Found) (sum float64) {
	for _, c := range m.failed {
		to, ok := c.toward(&f.Offer, m.opt)
		if !ok {
			sum++
			continue
		}
		wish, has := float64(c.number), float64(to.number)
		sum += max(wish-has, has-wish) / max(wish, has, 1)
	}
	return sum
}

// toward is the constraint with the value that lets an offer in, by its numbers;
// false if only dropping it would.
func (c Constraint) toward(o *Offer, opt Options) (Constraint, bool) {
	a, _ := lookup(c.Attr)
	if a.kind == words || a.kind == count || c.Op == NotEqual {
		return c, false // of AS numbers none is near another
	}
	v, ok := a.number(o, opt.measured(o))
	switch {
	case !ok:
		return c, false // not stated, or not measured
	case c.Op == Greater || c.Op == GreaterOrEqual:
		if v == 0 {
			return c, false // nobody asks for at least nothing
		}
		c.Op = GreaterOrEqual
	case c.Op == Less || c.Op == LessOrEqual:
		c.Op = LessOrEqual
	}
	c.number, c.Value = v, a.format(v)
	return c, true
}

// further adds how many more would come for at most half or twice of what was
// wished, where that is more than come at once.
func (m miss) further(c Constraint, won int) string {
	var reach *Constraint
	for _, f := range m.candidates {
		to, ok := c.toward(&f.Offer, m.opt)
		if !ok || c.Op == Equal || to.number < c.number/2 || to.number > 2*c.number {
			continue
		}
		if reach == nil || to.Op == GreaterOrEqual && to.number < reach.number || to.Op == LessOrEqual && to.number > reach.number {
			reach = &to
		}
	}
	if reach == nil {
		return ""
	}
	if n := m.count([]Constraint{*reach}); n > won {
		return fmt.Sprintf(", %d if %s", n, reach)
	}
	return ""
}

// other says what there is in place of a word: the one that was probably meant, or
// that the constraint is in the way, and of what.
func (m miss) other(c Constraint) (string, int) {
	drop := more(len(m.candidates)) + " without " + c.String()
	if c.Op != Equal {
		return drop, len(m.candidates)
	}
	a, _ := lookup(c.Attr)
	stated := map[string]int{}
	for _, f := range m.candidates {
		for _, v := range a.values(c.Attr, &f.Offer, m.opt) {
			stated[v]++
		}
	}
	known := slices.Sorted(maps.Keys(stated))
	if word := Meant(c.Value, known); word != "" && len(c.Value) > 3 && a.kind == words {
		c.Value = word
		return more(stated[word]) + " if " + c.String(), stated[word]
	}
	slices.SortStableFunc(known, func(x, y string) int { return stated[y] - stated[x] })
	const few = 3
	var parts []string
	for _, v := range known[:min(few, len(known))] {
		parts = append(parts, fmt.Sprintf("%d %s", stated[v], v))
	}
	if len(known) > few {
		parts = append(parts, "…")
	}
	if len(parts) == 0 || c.Attr == "name" || c.Attr == "node" { // each has its own
		return drop, len(m.candidates)
	}
	return drop + " (" + strings.Join(parts, ", ") + ")", len(m.candidates)
}

// values are what an offer states of an attribute, as people say it: of a site its
// name.
func (a attribute) values(name string, o *Offer, opt Options) (all []string) {
	if a.kind != words {
		if v, ok := a.number(o, opt.measured(o)); ok {
			all = append(all, a.format(v))
		}
		return all
	}
	if name == "site" {
		return slices.DeleteFunc([]string{o.SiteName()}, func(s string) bool { return s == "" })
	}
	for _, s := range a.texts(o) {
		if s != "" {
			all = append(all, s)
		}
	}
	return all
}
