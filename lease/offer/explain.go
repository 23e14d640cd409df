// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"strings"
)

// explain counts what each constraint removes and looks for the nearest miss.
func explain(q Query, candidates []Found, opt Options) Result {
	res := Result{Known: len(candidates), Removed: make([]Removed, len(q.Constraints))}
	for i, c := range q.Constraints {
		res.Removed[i].Constraint = c.String()
	}
	misses := make(map[uint32][]int) // set of failed constraints, as bits → candidates
	for n := range candidates {
		o := &candidates[n].Offer
		m := opt.measured(o)
		var failed uint32
		for i, c := range q.Constraints {
			if c.Holds(o, m) {
				continue
			}
			if res.Removed[i].Alone++; failed == 0 {
				res.Removed[i].Count++
			}
			failed |= 1 << i
		}
		if failed != 0 {
			misses[failed] = append(misses[failed], n)
		}
	}
	res.Nearest = nearest(q, candidates, misses, opt)
	return res
}

// nearest prefers the fewest constraints to loosen, then the most nodes won.
func nearest(q Query, candidates []Found, misses map[uint32][]int, opt Options) string {
	var best uint32
	for set, nodes := range misses {
		if best == 0 || closer(set, len(nodes), best, len(misses[best])) {
			best = set
		}
	}
	if best == 0 {
		return ""
	}
	var to []string
	won := len(misses[best])
	for i, c := range q.Constraints {
		if best&(1<<i) == 0 {
			continue
		}
		if bits(best) == 1 {
			loosened, n := c.loosen(candidates, misses[best], opt)
			to, won = append(to, loosened), n
		} else {
			to = append(to, "without "+c.String())
		}
	}
	noun := "nodes"
	if won == 1 {
		noun = "node"
	}
	return fmt.Sprintf("%d more %s %s", won, noun, strings.Join(to, " and "))
}

func closer(set uint32, n int, best uint32, m int) bool {
	if bits(set) != bits(best) {
		return bits(set) < bits(best)
	}
	if n != m {
		return n > m
	}
	return set < best // any rule will do that does not hang on the order of a map
}

func bits(set uint32) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

// loosen finds the smallest change of c that lets in at least one of the nodes
// that fail nothing else, and counts those that it lets in.
func (c Constraint) loosen(candidates []Found, nodes []int, opt Options) (string, int) {
	drop := "without " + c.String()
	a, _ := lookup(c.Attr)
	if a.kind == words || c.Op == Equal || c.Op == NotEqual {
		return drop, len(nodes)
	}
	atLeast := c.Op == Greater || c.Op == GreaterOrEqual
	values := make([]uint64, 0, len(nodes))
	for _, n := range nodes {
		o := &candidates[n].Offer
		if v, ok := a.number(o, opt.measured(o)); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return drop, len(nodes) // not stated, or not measured
	}
	limit, op := values[0], LessOrEqual
	if atLeast {
		op = GreaterOrEqual
	}
	for _, v := range values {
		if atLeast {
			limit = max(limit, v)
		} else {
			limit = min(limit, v)
		}
	}
	if atLeast && limit == 0 {
		return drop, len(nodes) // nobody asks for at least nothing
	}
	won := 0
	for _, v := range values {
		if v == limit {
			won++
		}
	}
	return "if " + c.Attr + string(op) + a.format(limit), won
}
