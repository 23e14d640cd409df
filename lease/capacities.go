// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"slices"
)

// Capacities is what is known of one node's capacities. It finds tranches that
// were set aside twice. Whoever keeps one for strangers bounds it by Len.
type Capacities struct{ known []Opened } // ascending by id

// Len returns how many are kept.
func (c *Capacities) Len() int { return len(c.known) }

// Add takes a capacity that verified, and returns the conflict that it
// completes, or nil.
func (c *Capacities) Add(o Opened) *Found {
	k, ok := o.Statement.(*Capacity)
	if !ok {
		return nil
	}
	at, known := slices.BinarySearchFunc(c.known, o.ID, func(a Opened, id ID) int { return bytes.Compare(a.ID[:], id[:]) })
	if known {
		return nil
	}
	var found *Found
	for i, other := range c.known {
		st := other.Statement.(*Capacity)
		if st.Node != k.Node || st.Tranche != k.Tranche || !st.Term().Overlaps(k.Term()) {
			continue
		}
		found = &Found{Kind: ProofCapacity, Children: []Opened{other, o}, Term: st.Term().meet(k.Term())}
		if i >= at {
			slices.Reverse(found.Children)
		}
		break
	}
	c.known = slices.Insert(c.known, at, o)
	return found
}

// Forget drops those whose term ended at or before the instant.
func (c *Capacities) Forget(before int64) {
	c.known = slices.DeleteFunc(c.known, func(o Opened) bool { return o.Statement.(*Capacity).Until <= before })
}
