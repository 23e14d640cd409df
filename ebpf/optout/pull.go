// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"encoding/binary"
	"slices"

	"croft/lease"
)

// Digest is the state of a set in short: for each partition of ids, by their
// first bits, the XOR of the first 8 bytes of each.
type Digest [Partitions]uint64

// parts are the entries by partition and, in it, by id: a page is a walk, however
// many there are.
type parts struct {
	in     [Partitions][]*kept
	digest Digest
}

func partition(id lease.ID) int { return int(id[0]) * Partitions / 256 }

func (p *parts) find(e *kept) (part, at int, there bool) {
	part = partition(e.ID)
	at, there = slices.BinarySearchFunc(p.in[part], e.ID, func(o *kept, id lease.ID) int { return bytes.Compare(o.ID[:], id[:]) })
	return part, at, there
}

func (p *parts) add(e *kept) {
	part, at, _ := p.find(e)
	p.in[part] = slices.Insert(p.in[part], at, e)
	p.digest[part] ^= binary.BigEndian.Uint64(e.ID[:8])
}

func (p *parts) remove(e *kept) {
	part, at, there := p.find(e)
	if there {
		p.in[part] = slices.Delete(p.in[part], at, at+1)
		p.digest[part] ^= binary.BigEndian.Uint64(e.ID[:8])
	}
}

// Digest returns the state of the set.
func (s *Set) Digest() Digest { return s.parts.digest }

// pageHead is the size in bytes of what stands before an entry in a page.
const pageHead = 3

// Page answers a pull by one whose set has another digest: entries of at most
// PageBytes, one at the least, in the order of ids behind the cursor, from the
// partitions that differ; and the cursor for the next page, zero at the end.
func (s *Set) Page(theirs Digest, after lease.ID) (entries [][]byte, next lease.ID) {
	var last lease.ID
	size := 0
	for part := partition(after); part < Partitions; part++ {
		if s.parts.digest[part] == theirs[part] {
			continue
		}
		for _, e := range s.parts.in[part] {
			if bytes.Compare(e.ID[:], after[:]) <= 0 {
				continue
			}
			if size > 0 && size+len(e.Bytes)+pageHead > PageBytes {
				return entries, last
			}
			entries = append(entries, e.Bytes)
			size += len(e.Bytes) + pageHead
			last = e.ID
		}
	}
	return entries, lease.ID{}
}
