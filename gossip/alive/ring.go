// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"bytes"
	"slices"

	"croft/lease"
)

// ring is the nodes in the order of their ids, the first after the last. By this
// order each node follows exactly five others, and so is probed by five: by the
// distance of Kademlia a node that is alone in its half of a subtree is nobody's
// neighbour.
type ring []lease.Principal

func compare(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) }

func (r ring) find(p lease.Principal) (int, bool) { return slices.BinarySearchFunc(r, p, compare) }

func (r *ring) add(p lease.Principal) bool {
	at, there := r.find(p)
	if !there {
		*r = slices.Insert(*r, at, p)
	}
	return !there
}

func (r *ring) remove(p lease.Principal) bool {
	at, there := r.find(p)
	if there {
		*r = slices.Delete(*r, at, at+1)
	}
	return there
}

// after calls each with the nodes that follow p, in order, until it returns false
// or all others had their turn.
func (r ring) after(p lease.Principal, each func(lease.Principal) bool) {
	at, there := r.find(p)
	others := len(r)
	if there {
		at, others = at+1, others-1
	}
	for i := range others {
		if !each(r[(at+i)%len(r)]) {
			return
		}
	}
}
