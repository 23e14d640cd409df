// SPDX-License-Identifier: Apache-2.0

package world

// seen is who has had a message.
type seen interface {
	has(i int) bool
	mark(i int)
}

// marks is a bit for each node.
type marks []uint64

func newBits(nodes int) marks { return make(marks, (nodes+63)/64) }

func (m marks) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }
func (m marks) mark(i int)     { m[i/64] |= 1 << (i % 64) }

// few is a set of few nodes among many: open addressing, at most half full. What is
// in a slot is the node's number and one; 0 is free.
type few struct {
	slots []int32
	count int
}

func (f *few) slot(i int) int {
	at := int(uint32(i)*2654435761) & (len(f.slots) - 1)
	for f.slots[at] != 0 && f.slots[at] != int32(i)+1 {
		at = (at + 1) & (len(f.slots) - 1)
	}
	return at
}

func (f *few) has(i int) bool { return f.count > 0 && f.slots[f.slot(i)] != 0 }

func (f *few) mark(i int) {
	if 2*f.count >= len(f.slots) {
		old := f.slots
		f.slots = make([]int32, max(2*len(old), 16))
		for _, s := range old {
			if s != 0 {
				f.slots[f.slot(int(s)-1)] = s
			}
		}
	}
	if at := f.slot(i); f.slots[at] == 0 {
		f.slots[at] = int32(i) + 1
		f.count++
	}
}
