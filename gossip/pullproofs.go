// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"croft/lease"
)

// ProofPull asks for the proofs that the asker does not keep, after a cursor: its
// digest is that of a view, over the ids of proofs.
type ProofPull struct {
	Digest Digest   `cbor:"1,keyasint"`
	After  lease.ID `cbor:"2,keyasint,omitzero"`
}

// ProofPage is one page of the answer, in the order of ids.
type ProofPage struct {
	Proofs [][]byte `cbor:"1,keyasint,omitempty"`
	After  lease.ID `cbor:"2,keyasint,omitzero"` // the cursor for the next page; zero at the end
}

// Digest returns the state of the store.
func (p *Proofs) Digest() Digest {
	var d Digest
	for id := range p.kept { // XOR does not mind the order
		d[partition(lease.Principal(id))] ^= binary.BigEndian.Uint64(id[:8])
	}
	return d
}

// Page answers a pull: proofs of at most PageBytes, one at the least, from the
// partitions that differ.
func (p *Proofs) Page(req ProofPull) ProofPage {
	mine := p.Digest()
	var page ProofPage
	var last lease.ID
	size := 0
	for _, e := range p.sorted() {
		at := partition(lease.Principal(e.ID))
		if mine[at] == req.Digest[at] || bytes.Compare(e.ID[:], req.After[:]) <= 0 {
			continue
		}
		if size > 0 && size+len(e.Bytes)+pageHead > PageBytes {
			page.After = last
			break
		}
		page.Proofs = append(page.Proofs, e.Bytes)
		size += len(e.Bytes) + pageHead
		last = e.ID
	}
	return page
}

// pageHead is the size in bytes of what stands before a proof in a page.
const pageHead = 5

// DecodeProofPull reads a pull, at most MaxPull bytes.
func DecodeProofPull(b []byte) (r ProofPull, err error) {
	if err := lease.Decode(b, &r, MaxPull); err != nil {
		return ProofPull{}, fmt.Errorf("reading pull of proofs: %w", err)
	}
	return r, nil
}

// DecodeProofPage reads a page, at most MaxProofPage bytes. The proofs in it are
// not looked at yet.
func DecodeProofPage(b []byte) (p ProofPage, err error) {
	if err := lease.Decode(b, &p, MaxProofPage); err != nil {
		return ProofPage{}, fmt.Errorf("reading page of proofs: %w", err)
	}
	return p, nil
}
