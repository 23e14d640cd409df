// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"

	"croft/lease"
)

// Why bytes that are well formed and signed prove nothing. The rules are those
// of docs/protocol/audit.md.
var (
	ErrProofShape   = errors.New("has not the parts of its kind")              // P2
	ErrProofNodes   = errors.New("heads are of two nodes")                     // P3
	ErrProofOrder   = errors.New("is out of order")                            // P4
	ErrProofSegment = errors.New("segment is not in the log of the head")      // I2
	ErrProofLeaf    = errors.New("leaf is not in the segment")                 // I3
	ErrProofGrown   = errors.New("the older log is no beginning of the newer") // C1, C2
	ErrProofOne     = errors.New("both can be heads of one log")               // F1, F2
)

// Code returns the word for why bytes prove nothing: one of docs/protocol/audit.md,
// or of package lease, or "".
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.word
		}
	}
	return lease.Code(err)
}

var codes = []struct {
	err  error
	word string
}{
	{ErrProofShape, "proof-shape"}, {ErrProofNodes, "proof-nodes"}, {ErrProofOrder, "proof-order"}, {ErrProofSegment, "proof-segment"},
	{ErrProofLeaf, "proof-leaf"}, {ErrProofGrown, "proof-grown"}, {ErrProofOne, "proof-one"},
}

// ProofKind says what a proof shows. The numbers travel.
type ProofKind uint8

const (
	ProofInclusion   ProofKind = iota + 1 // what a node recorded
	ProofConsistency                      // that it took nothing back between two heads
	ProofFork                             // that it signed two logs
)

func (k ProofKind) String() string {
	switch k {
	case ProofInclusion:
		return "inclusion"
	case ProofConsistency:
		return "consistency"
	case ProofFork:
		return "fork"
	}
	return fmt.Sprintf("proof(%d)", uint8(k))
}

// Proof is one of *Inclusion, *Consistency and *Fork.
type Proof interface {
	Kind() ProofKind
	// Bytes returns the form that travels: core deterministic CBOR.
	Bytes() []byte
	// Verify reports whether the proof shows what its kind says, and what that
	// is. It needs nothing else.
	Verify() (Shown, error)
}

// Shown is what a proof that verified says. It is what the node signed, and no
// more: whether packets went is between the node and whoever was there.
type Shown struct {
	Kind ProofKind
	Head OpenedHead // of a fork: the smaller log
	Next OpenedHead // of consistency and fork: the other head

	Segment Segment // of an inclusion
	Leaves          // of an inclusion
}

// ReadProof reads the bytes of any proof without verifying it. It returns
// lease.ErrTooBig, ErrSyntax, ErrNotCanonical or ErrKind, or ErrProofShape.
func ReadProof(b []byte) (Proof, error) {
	if len(b) > MaxProof {
		return nil, fmt.Errorf("proof of %d bytes, limit %d: %w", len(b), MaxProof, lease.ErrTooBig)
	}
	// In canonical form the kind is the first value of the map.
	if len(b) < 3 || b[0]>>5 != 5 || b[1] != 0 {
		return nil, fmt.Errorf("no proof: %w", lease.ErrSyntax)
	}
	var p interface {
		Proof
		shape() error
	}
	switch kind := ProofKind(b[2]); kind {
	case ProofInclusion:
		p = new(Inclusion)
	case ProofConsistency:
		p = new(Consistency)
	case ProofFork:
		p = new(Fork)
	default:
		return nil, fmt.Errorf("%s: %w", kind, lease.ErrKind)
	}
	if err := lease.Decode(b, p, MaxProof); err != nil {
		return nil, fmt.Errorf("proof of %s: %w", ProofKind(b[2]), err)
	}
	if err := p.shape(); err != nil {
		return nil, fmt.Errorf("proof of %s: %w", p.Kind(), err)
	}
	return p, nil
}

// VerifyProof reads and verifies a proof, of any kind, from bytes alone.
func VerifyProof(b []byte) (Shown, error) {
	p, err := ReadProof(b)
	if err != nil {
		return Shown{}, err
	}
	s, err := p.Verify()
	if err != nil {
		return Shown{}, fmt.Errorf("proof of %s: %w", p.Kind(), err)
	}
	return s, nil
}

// twoHeads opens two heads of one node.
func twoHeads(a, b []byte) (first, second OpenedHead, err error) {
	if first, err = OpenHead(a); err != nil {
		return first, second, err
	}
	if second, err = OpenHead(b); err != nil {
		return first, second, err
	}
	if first.Node != second.Node {
		return first, second, fmt.Errorf("%s and %s: %w", first.Node.Short(), second.Node.Short(), ErrProofNodes)
	}
	return first, second, nil
}
