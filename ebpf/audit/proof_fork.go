// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"

	"croft/lease"
)

// Fork shows that a node signed heads of two logs. Two of one size need nothing
// but to differ; of two sizes either one segment of the smaller log is shown to be
// another one in the larger, or the larger log to have begun with another one.
//
//	head of 7 ── segment 3 is X             head of 7 ── its root is X
//	head of 9 ── segment 3 is Y     or      head of 9 ── the root over its first 7 is Y
type Fork struct {
	K       ProofKind `cbor:"0,keyasint"`
	A       []byte    `cbor:"1,keyasint"` // signed head: of the smaller size, or id
	B       []byte    `cbor:"2,keyasint"`
	Split   []Split   `cbor:"3,keyasint,omitempty"` // of two sizes there is one of these,
	Regrown []Regrown `cbor:"4,keyasint,omitempty"` // or one of these
}

// Regrown shows what the log of B had as its root when it was of the size of A.
// It is what a node shows that cannot show its log to go on from A.
type Regrown struct {
	_    struct{} `cbor:",toarray"`
	Root lease.Digest
	Path []lease.Digest // of consistency, from the size of A to that of B
}

// Split is a place in the log where two heads hold different segments.
type Split struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	A     lease.Digest // hash of the segment in the log of A
	PathA []lease.Digest
	B     lease.Digest
	PathB []lease.Digest
}

func (p *Fork) Kind() ProofKind { return ProofFork }

func (p *Fork) Bytes() []byte { return encoded(p) }

func (p *Fork) shape() error {
	ok := p.K == ProofFork && len(p.Split)+len(p.Regrown) <= 1
	for _, s := range p.Split {
		ok = ok && s.PathA != nil && s.PathB != nil && len(s.PathA) <= maxPath && len(s.PathB) <= maxPath
	}
	for _, r := range p.Regrown {
		ok = ok && r.Path != nil && len(r.Path) <= maxPath+1
	}
	if !ok {
		return ErrProofShape
	}
	return nil
}

// Verify returns both heads: the node that signed them is accountable.
func (p *Fork) Verify() (Shown, error) {
	if err := p.shape(); err != nil {
		return Shown{}, err
	}
	a, b, err := twoHeads(p.A, p.B)
	if err != nil {
		return Shown{}, err
	}
	shown := Shown{Kind: ProofFork, Head: a, Next: b}
	switch {
	case a.Size == b.Size && a.Root == b.Root:
		return Shown{}, fmt.Errorf("size %d: %w", a.Size, ErrProofOne)
	case a.Size > b.Size || a.Size == b.Size && bytes.Compare(a.ID[:], b.ID[:]) >= 0:
		return Shown{}, ErrProofOrder
	case (a.Size == b.Size) == (len(p.Split)+len(p.Regrown) == 1):
		return Shown{}, ErrProofShape
	case a.Size == b.Size:
		return shown, nil
	}
	if len(p.Regrown) == 1 {
		r := p.Regrown[0]
		if r.Root == a.Root || !grew(a.Size, r.Root, b.Head, r.Path) {
			return Shown{}, fmt.Errorf("the first %d of %d: %w", a.Size, b.Size, ErrProofOne)
		}
		return shown, nil
	}
	s := p.Split[0]
	if s.A == s.B || !under(a.Root, a.Size, s.Index, s.A, s.PathA) || !under(b.Root, b.Size, s.Index, s.B, s.PathB) {
		return Shown{}, fmt.Errorf("segment %d of %d and %d: %w", s.Index, a.Size, b.Size, ErrProofOne)
	}
	return shown, nil
}

// Accused is whose heads they say that they are; only [Fork.Verify] says that they
// hold.
func (p *Fork) Accused() (lease.Principal, error) {
	s, err := lease.ParseSigned(p.A, MaxHead)
	if err != nil {
		return lease.Principal{}, fmt.Errorf("head: %w", err)
	}
	var h Head
	if err := lease.Decode(s.Payload, &h, MaxHead); err != nil {
		return lease.Principal{}, fmt.Errorf("head: %w", err)
	}
	return h.Node, nil
}

// ForkOfHeads returns the proof that two heads of one size make, if they do.
func ForkOfHeads(a, b OpenedHead) (*Fork, bool) {
	if !a.Forks(b.Head) {
		return nil, false
	}
	if bytes.Compare(a.ID[:], b.ID[:]) > 0 {
		a, b = b, a
	}
	return &Fork{K: ProofFork, A: a.Bytes, B: b.Bytes}, true
}

// ForkOfInclusions returns the proof that two inclusions make, if they do: the
// same segment of one node's log, with two contents.
func ForkOfInclusions(a, b *Inclusion) (*Fork, bool) {
	x, err1 := a.Verify()
	y, err2 := b.Verify()
	if err1 != nil || err2 != nil || x.Head.Node != y.Head.Node {
		return nil, false
	}
	if f, ok := ForkOfHeads(x.Head, y.Head); ok {
		return f, true
	}
	if x.Head.Size == y.Head.Size || x.Segment.Number != y.Segment.Number || bytes.Equal(a.Segment, b.Segment) {
		return nil, false
	}
	if x.Head.Size > y.Head.Size {
		a, b = b, a
	}
	return &Fork{K: ProofFork, A: a.Head, B: b.Head, Split: []Split{{Index: x.Segment.Number,
		A: HashSegment(a.Segment), PathA: paths(a.Path), B: HashSegment(b.Segment), PathB: paths(b.Path)}}}, true
}

// paths makes an empty path one that is written as an empty list.
func paths(p []lease.Digest) []lease.Digest {
	if p == nil {
		return []lease.Digest{}
	}
	return p
}
