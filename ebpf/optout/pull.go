// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"croft/lease"
)

// Digest is the state of a set in short: for each partition of ids, by their
// first bits, the XOR of the first 8 bytes of each.
type Digest [Partitions]uint64

// Pull asks for the entries that the asker lacks, after a cursor.
type Pull struct {
	Digest Digest   `cbor:"1,keyasint"`
	After  lease.ID `cbor:"2,keyasint,omitzero"`
}

// Page is one page of the answer, in the order of ids.
type Page struct {
	Entries [][]byte `cbor:"1,keyasint,omitempty"`
	After   lease.ID `cbor:"2,keyasint,omitzero"` // the cursor for the next page; zero at the end
}

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

// Page answers a pull: entries of at most PageBytes, one at the least, from the
// partitions that differ.
func (s *Set) Page(req Pull) Page {
	var page Page
	var last lease.ID
	size := 0
	for part := partition(req.After); part < Partitions; part++ {
		if s.parts.digest[part] == req.Digest[part] {
			continue
		}
		for _, e := range s.parts.in[part] {
			if bytes.Compare(e.ID[:], req.After[:]) <= 0 {
				continue
			}
			if size > 0 && size+len(e.Bytes)+pageHead > PageBytes {
				page.After = last
				return page
			}
			page.Entries = append(page.Entries, e.Bytes)
			size += len(e.Bytes) + pageHead
			last = e.ID
		}
	}
	return page
}

// DecodePull reads a pull, at most MaxPull bytes.
func DecodePull(b []byte) (r Pull, err error) {
	if err := lease.Decode(b, &r, MaxPull); err != nil {
		return Pull{}, fmt.Errorf("reading pull of opt-outs: %w", err)
	}
	return r, nil
}

// DecodePage reads a page, at most MaxPage bytes. The entries in it are not
// looked at yet.
func DecodePage(b []byte) (p Page, err error) {
	if err := lease.Decode(b, &p, MaxPage); err != nil {
		return Page{}, fmt.Errorf("reading page of opt-outs: %w", err)
	}
	return p, nil
}
