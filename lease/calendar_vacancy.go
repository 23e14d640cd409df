// SPDX-License-Identifier: Apache-2.0

package lease

// next returns the first instant after at where the load changes.
func (c *calendar) next(at int64) (int64, bool) {
	var found *edge
	for n := c.root; n != nil; {
		if n.at > at {
			found, n = n, n.left
		} else {
			n = n.right
		}
	}
	if found == nil {
		return 0, false
	}
	return found.at, true
}

// walk visits the levels of a term in order, each from one instant on, until
// visit returns false. It reports whether it came to the end.
func (c *calendar) walk(t Term, visit func(at int64, load RSet) bool) bool {
	if !visit(t.From, c.peak(Term{t.From, t.From + 1})) {
		return false
	}
	var sum climb
	return c.root.walk(t, &sum, visit)
}

// walk adds the subtree to sum and visits its edges strictly within the term.
func (n *edge) walk(t Term, sum *climb, visit func(int64, RSet) bool) bool {
	if n == nil {
		return true
	}
	if n.at <= t.From { // all of the left is before the term
		if n.left != nil {
			sum.add(&n.left.sum)
		}
	} else if !n.left.walk(t, sum, visit) {
		return false
	}
	if n.at >= t.Until {
		return true
	}
	sum.add(&n.delta)
	if n.at > t.From {
		var load RSet
		for r, v := range sum {
			load[r] = uint64(max(v, 0))
		}
		if !visit(n.at, load) {
			return false
		}
	}
	return n.right.walk(t, sum, visit)
}
