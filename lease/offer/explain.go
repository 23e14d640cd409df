// SPDX-License-Identifier: Apache-2.0

package offer

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
