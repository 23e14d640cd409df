// SPDX-License-Identifier: Apache-2.0

package lease

// A calendar is the load on one pool, per resource and instant. It is an AVL
// tree of the instants at which the load changes; every subtree knows by how
// much it changes in sum, and how high it climbs on the way. So booking a term
// and finding the highest load in a term both take O(log n), whatever else is
// booked. (A tree balanced by height and not by hashes of the keys: strangers
// choose the terms.)
type calendar struct {
	root *edge
}

// span is an amount during a term.
type span struct {
	Term
	rset RSet
}

// climb is a change of load. Amounts are at most MaxAmount and so is what is
// admitted at one instant: sums stay far below 2^63.
type climb [NumResources]int64

type edge struct {
	left, right *edge
	height      int
	at          int64
	spans       int   // spans that begin or end here; none: the edge goes
	delta       climb // at this instant
	sum         climb // of the subtree
	peak        climb // highest sum over the subtree's first edges, at least one
}

// add books a span, whether it fits or not.
func (c *calendar) add(s span) {
	c.root = c.root.put(s.From, climbOf(s.rset, +1), +1)
	c.root = c.root.put(s.Until, climbOf(s.rset, -1), +1)
}

// remove takes back a span that was added.
func (c *calendar) remove(s span) {
	c.root = c.root.put(s.From, climbOf(s.rset, -1), -1)
	c.root = c.root.put(s.Until, climbOf(s.rset, +1), -1)
}

func (c *calendar) empty() bool { return c.root == nil }

// peak returns the highest load of each resource at any instant of the term.
func (c *calendar) peak(t Term) RSet {
	var sum climb
	for n := c.root; n != nil; {
		if n.at > t.From {
			n = n.left
			continue
		}
		if n.left != nil {
			sum.add(&n.left.sum)
		}
		sum.add(&n.delta)
		n = n.right
	}
	top := sum
	c.root.scan(t, false, false, &sum, &top)
	var load RSet
	for r, v := range top {
		load[r] = uint64(max(v, 0))
	}
	return load
}

// scan raises top to the highest load after any edge strictly within the term.
// sum is the load before the first such edge of the subtree; after says that all
// of the subtree's edges are later than From, before that they precede Until.
func (n *edge) scan(t Term, after, before bool, sum, top *climb) {
	switch {
	case n == nil:
	case after && before:
		for r := range top {
			top[r] = max(top[r], sum[r]+n.peak[r])
		}
		sum.add(&n.sum)
	case n.at <= t.From:
		n.right.scan(t, after, before, sum, top)
	case n.at >= t.Until:
		n.left.scan(t, after, before, sum, top)
	default:
		n.left.scan(t, after, true, sum, top)
		sum.add(&n.delta)
		for r := range top {
			top[r] = max(top[r], sum[r])
		}
		n.right.scan(t, true, before, sum, top)
	}
}

func (n *edge) put(at int64, delta climb, spans int) *edge {
	switch {
	case n == nil:
		return (&edge{at: at, spans: spans, delta: delta}).settle()
	case at < n.at:
		n.left = n.left.put(at, delta, spans)
	case at > n.at:
		n.right = n.right.put(at, delta, spans)
	default:
		n.delta.add(&delta)
		if n.spans += spans; n.spans == 0 {
			return join(n.left, n.right)
		}
	}
	return n.balance()
}

// join makes one tree of two that lay under one edge.
func join(left, right *edge) *edge {
	if right == nil {
		return left
	}
	root, rest := right.takeFirst()
	root.left, root.right = left, rest
	return root.balance()
}

func (n *edge) takeFirst() (first, rest *edge) {
	if n.left == nil {
		return n, n.right
	}
	first, n.left = n.left.takeFirst()
	return first, n.balance()
}

func (n *edge) balance() *edge {
	switch lean := n.left.tall() - n.right.tall(); {
	case lean > 1:
		if n.left.left.tall() < n.left.right.tall() {
			n.left = n.left.rotateLeft()
		}
		return n.rotateRight()
	case lean < -1:
		if n.right.right.tall() < n.right.left.tall() {
			n.right = n.right.rotateRight()
		}
		return n.rotateLeft()
	}
	return n.settle()
}

func (n *edge) rotateLeft() *edge {
	up := n.right
	n.right = up.left
	up.left = n.settle()
	return up.settle()
}

func (n *edge) rotateRight() *edge {
	up := n.left
	n.left = up.right
	up.right = n.settle()
	return up.settle()
}

// settle computes what the edge knows of its subtree from its children.
func (n *edge) settle() *edge {
	n.height = 1 + max(n.left.tall(), n.right.tall())
	n.sum = n.delta
	if n.left != nil {
		n.sum.add(&n.left.sum)
	}
	n.peak = n.sum
	if n.left != nil {
		for r := range n.peak {
			n.peak[r] = max(n.peak[r], n.left.peak[r])
		}
	}
	if n.right != nil {
		for r := range n.peak {
			n.peak[r] = max(n.peak[r], n.sum[r]+n.right.peak[r])
		}
		n.sum.add(&n.right.sum)
	}
	return n
}

func (n *edge) tall() int {
	if n == nil {
		return 0
	}
	return n.height
}

func (c *climb) add(o *climb) {
	for r := range c {
		c[r] += o[r]
	}
}

func climbOf(s RSet, sign int64) (c climb) {
	for r, v := range s {
		c[r] = sign * int64(v)
	}
	return c
}
