// SPDX-License-Identifier: Apache-2.0

package pubsub

import "hash/maphash"

// own knows the last messages that were published at this node, by a hash of this
// process that nobody else can aim at.
type own struct {
	seed maphash.Seed
	last [ownMessages]uint64
	next int
	all  map[uint64]bool
}

func newOwn() *own { return &own{seed: maphash.MakeSeed(), all: map[uint64]bool{}} }

func (o *own) add(message []byte) {
	h := maphash.Bytes(o.seed, message)
	if o.all[h] {
		return
	}
	delete(o.all, o.last[o.next])
	o.last[o.next], o.all[h] = h, true
	o.next = (o.next + 1) % len(o.last)
}

func (o *own) has(message []byte) bool { return o.all[maphash.Bytes(o.seed, message)] }
