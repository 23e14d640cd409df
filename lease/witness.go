// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// A Witness remembers the chains that somebody came across, a buyer comparing
// tickets or a node hearing of them, and finds the conflicts among them. It is
// [Children] for every parent and [Capacities] for every node. What it finds is
// proof to anybody; that it finds nothing says only that it has not seen it.
//
// Use by one goroutine at a time.
type Witness struct {
	limit, n int
	books    map[ID]witnessed // by parent
	roots    map[Principal]*Capacities
}

type witnessed struct {
	parent   Chain // down to the parent
	children *Children
}

// NewWitness begins with nothing. It remembers at most limit statements, some 3
// KiB of memory each.
func NewWitness(limit int) *Witness {
	return &Witness{limit: limit, books: map[ID]witnessed{}, roots: map[Principal]*Capacities{}}
}

// Len returns how many statements are remembered.
func (w *Witness) Len() int { return w.n }

// See takes a chain that verified, and returns a proof of each conflict that it
// completes, from the root down. When it has no room it takes nothing more and
// returns [ErrTooBig]: see Forget.
func (w *Witness) See(c Chain) (proofs []Proof, err error) {
	for i, o := range c.links {
		if w.n >= w.limit {
			return proofs, fmt.Errorf("%d statements are remembered, limit %d: %w", w.n, w.limit, ErrTooBig)
		}
		var found *Found
		var parent Chain
		if i == 0 {
			known := w.roots[o.By()]
			if known == nil {
				known = new(Capacities)
				w.roots[o.By()] = known
			}
			w.n -= known.Len()
			found = known.Add(o)
			w.n += known.Len()
		} else {
			up := c.links[i-1]
			b, ok := w.books[up.ID]
			if !ok {
				b = witnessed{Chain{c.links[:i:i]}, NewChildren(up)}
				w.books[up.ID] = b
			}
			w.n -= b.children.Len()
			found, parent = b.children.Add(o), b.parent
			w.n += b.children.Len()
		}
		if found != nil {
			proofs = append(proofs, found.Proof(parent))
		}
	}
	return proofs, nil
}

// Forget drops what ended at or before the instant.
func (w *Witness) Forget(before int64) {
	w.n = 0
	for id, b := range w.books {
		if b.children.Forget(before); b.children.Len() == 0 {
			delete(w.books, id)
		}
		w.n += b.children.Len()
	}
	for node, known := range w.roots {
		if known.Forget(before); known.Len() == 0 {
			delete(w.roots, node)
		}
		w.n += known.Len()
	}
}
