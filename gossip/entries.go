// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"

	"croft/lease"
	"croft/lease/offer"
)

// Entry is one node of a view, and where the view has it from.
type Entry struct {
	Offer *offer.Opened   // not to be changed
	From  lease.Principal // the neighbour that brought it; zero: this node
	Heard bool            // by gossip, not only by pull
}

// Entries returns what is kept, by node: withdrawn nodes too, and offers that hold
// no more and were not dropped yet.
func (v *View) Entries() []Entry {
	all := make([]Entry, len(v.order))
	for i, e := range v.order {
		all[i] = Entry{e.offer, e.from.Value(), e.heard}
	}
	return all
}

// Sum is the digest in short, to compare two views by eye: the first 8 bytes of
// its SHA-256.
func (d Digest) Sum() uint64 {
	var b []byte
	for _, x := range d {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	sum := digest(b)
	return binary.BigEndian.Uint64(sum[:8])
}
