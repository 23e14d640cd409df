// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"croft/lease"
)

// Inclusion shows leaves of one segment to be what a node committed to:
//
//	leaf, salted ─ path ─▶ segment's root, in a leaf of the log ─ path ─▶ root of a signed head
type Inclusion struct {
	K       ProofKind      `cbor:"0,keyasint"`
	Head    []byte         `cbor:"1,keyasint"`           // signed
	Segment []byte         `cbor:"2,keyasint"`           // as it is hashed
	Path    []lease.Digest `cbor:"3,keyasint,omitempty"` // of the segment in the log
	Leaves  []Opening      `cbor:"4,keyasint"`           // ascending by index
}

// Opening is one leaf with its place in the segment's tree.
type Opening struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	Salt  Salt
	Leaf  []byte
	Path  []lease.Digest
}

func (p *Inclusion) Kind() ProofKind { return ProofInclusion }

func (p *Inclusion) Bytes() []byte { return encoded(p) }

func (p *Inclusion) shape() error {
	ok := p.K == ProofInclusion && len(p.Path) <= maxPath && len(p.Leaves) > 0 && len(p.Leaves) <= MaxOpenings
	for i, o := range p.Leaves {
		ok = ok && o.Leaf != nil && o.Path != nil && len(o.Path) <= maxPath
		if ok && i > 0 && p.Leaves[i-1].Index >= o.Index {
			return ErrProofOrder
		}
	}
	if !ok {
		return ErrProofShape
	}
	return nil
}

// Verify returns the head, the segment and its leaves.
func (p *Inclusion) Verify() (Shown, error) {
	if err := p.shape(); err != nil {
		return Shown{}, err
	}
	s := Shown{Kind: ProofInclusion}
	var err error
	if s.Head, err = OpenHead(p.Head); err != nil {
		return Shown{}, err
	}
	if s.Segment, err = ParseSegment(p.Segment); err != nil {
		return Shown{}, err
	}
	if !under(s.Head.Root, s.Head.Size, s.Segment.Number, HashSegment(p.Segment), p.Path) {
		return Shown{}, fmt.Errorf("segment %d, head of %d: %w", s.Segment.Number, s.Head.Size, ErrProofSegment)
	}
	var buf []byte
	for _, o := range p.Leaves {
		var h lease.Digest
		h, buf = HashLeaf(buf, o.Salt, o.Leaf)
		if !under(s.Segment.Root, s.Segment.Leaves, o.Index, h, o.Path) {
			return Shown{}, fmt.Errorf("leaf %d of segment %d: %w", o.Index, s.Segment.Number, ErrProofLeaf)
		}
		if err := s.Leaves.Read(o.Leaf); err != nil {
			return Shown{}, fmt.Errorf("leaf %d of segment %d: %w", o.Index, s.Segment.Number, err)
		}
	}
	return s, nil
}
