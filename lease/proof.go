// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
)

// A proof shows, to anybody and offline, that somebody did not keep its word. It
// is signed by nobody: nothing but signed statements and their absolute terms
// enter, no clock, no journal and no witness. The rules are numbered as in
// docs/protocol/claims.md.

// ProofKind says what a proof shows. The numbers are on the wire.
type ProofKind uint8

// Three conflicts, for which whoever issued the children is accountable, and
// three ways in which a node does not honour what was promised on it.
const (
	ProofTwice    ProofKind = 1 // one slot was sold twice
	ProofOver     ProofKind = 2 // the slots of a claim weigh more than its budget
	ProofCapacity ProofKind = 3 // a node set one tranche aside twice
	ProofRefused  ProofKind = 4 // a refusal for a reason that a node may not have
	ProofUnfilled ProofKind = 5 // a refusal that what is attached does not bear out
	ProofGrace    ProofKind = 6 // a revoke without the grace that the lease states
)

var proofKinds = [...]string{"", "twice", "over", "capacity", "refused", "unfilled", "grace"}

func (k ProofKind) String() string {
	if k != 0 && int(k) < len(proofKinds) {
		return proofKinds[k]
	}
	return fmt.Sprintf("proof(%d)", uint8(k))
}

// Conflict reports whether the kind is one of the three that show an issuer's
// over-issue. The others show a node's dishonour.
func (k ProofKind) Conflict() bool { return k >= ProofTwice && k <= ProofCapacity }

// A Proof holds the statements that show it, as they travel. What each kind has
// in Chain and Evidence is in the table of docs/protocol/claims.md, P2.
type Proof struct {
	K        ProofKind
	Chain    [][]byte // root first
	Evidence [][]byte // what was said by who is accountable
	Resource Resource // of ProofOver: in which the weights exceed the limit
	At       int64    // of ProofOver: the instant, Unix seconds
}

// ProofDomain separates the ids of proofs from those of statements.
const ProofDomain = "croft/proof/1\n"

// ID returns the SHA-256 of domain and bytes. It names these bytes: one misdeed
// may have several proofs.
func (p Proof) ID() ID { return hash(ProofDomain, p.Bytes()) }

// Bytes returns the form that travels: an array of five in core deterministic CBOR.
func (p Proof) Bytes() []byte {
	b := AppendHead(nil, MajorArray, 5)
	b = AppendHead(b, MajorUint, uint64(p.K))
	b = appendList(b, p.Chain)
	b = appendList(b, p.Evidence)
	b = AppendHead(b, MajorUint, uint64(p.Resource))
	return AppendHead(b, MajorUint, uint64(p.At))
}

// ParseProof reads the form that travels, at most [MaxProof] bytes, without
// looking at the statements in it: P1 and P2. It copies: b may change afterwards.
func ParseProof(b []byte) (Proof, error) {
	p, err := parseProof(b)
	if err == nil {
		err = p.shape()
	}
	if err != nil {
		return Proof{}, fmt.Errorf("reading proof: %w", err)
	}
	return p, nil
}

func parseProof(b []byte) (p Proof, err error) {
	if len(b) > MaxProof {
		return Proof{}, fmt.Errorf("%d bytes, limit %d: %w", len(b), MaxProof, ErrTooBig)
	}
	n, rest, err := takeHead(b, MajorArray)
	if err == nil && n != 5 {
		err = fmt.Errorf("array of %d: %w", n, ErrSyntax)
	}
	var k, r, at uint64
	if err == nil {
		k, rest, err = takeHead(rest, MajorUint)
	}
	if err == nil {
		p.Chain, rest, err = takeList(rest, MaxDepth+1)
	}
	if err == nil {
		p.Evidence, rest, err = takeList(rest, 2+Slots)
	}
	if err == nil {
		r, rest, err = takeHead(rest, MajorUint)
	}
	if err == nil {
		at, rest, err = takeHead(rest, MajorUint)
	}
	switch {
	case err != nil:
		return Proof{}, err
	case len(rest) != 0:
		return Proof{}, fmt.Errorf("%d bytes too many: %w", len(rest), ErrSyntax)
	case k == 0 || k >= uint64(len(proofKinds)):
		return Proof{}, fmt.Errorf("proof of kind %d: %w", k, ErrKind)
	case r >= uint64(NumResources):
		return Proof{}, fmt.Errorf("resource number %d: %w", r, ErrUnknownResource)
	case at >= maxUnix:
		return Proof{}, field(false, "instant %d", at)
	}
	p.K, p.Resource, p.At = ProofKind(k), Resource(r), int64(at)
	return p, nil
}

// shapes says how many statements a proof of each kind has in its two parts.
var shapes = [...]struct{ chain, evidence [2]int }{
	ProofTwice:    {[2]int{1, MaxDepth}, [2]int{2, 2}},
	ProofOver:     {[2]int{1, MaxDepth}, [2]int{2, Slots}},
	ProofCapacity: {[2]int{0, 0}, [2]int{2, 2}},
	ProofRefused:  {[2]int{3, MaxDepth + 1}, [2]int{1, 2}},
	ProofUnfilled: {[2]int{3, MaxDepth + 1}, [2]int{2, 2 + MaxRefutations}},
	ProofGrace:    {[2]int{0, 0}, [2]int{2, 2}},
}

// shape holds P2.
func (p Proof) shape() error {
	if p.K == 0 || int(p.K) >= len(shapes) {
		return fmt.Errorf("proof of kind %d: %w", p.K, ErrKind)
	}
	s := shapes[p.K]
	has := func(list [][]byte, want [2]int) bool { return len(list) >= want[0] && len(list) <= want[1] }
	return first(
		unless(has(p.Chain, s.chain), ErrProofShape, "%s with a chain of %d", p.K, len(p.Chain)),
		unless(has(p.Evidence, s.evidence), ErrProofShape, "%s with evidence of %d", p.K, len(p.Evidence)),
		unless(p.K == ProofOver || p.Resource == 0 && p.At == 0, ErrProofShape, "%s that names an amount or instant", p.K))
}

// appendList appends an array of byte strings.
func appendList(b []byte, list [][]byte) []byte {
	b = AppendHead(b, MajorArray, uint64(len(list)))
	for _, s := range list {
		b = append(AppendHead(b, MajorBytes, uint64(len(s))), s...)
	}
	return b
}

// takeList reads an array of at most limit byte strings, copied, and returns the rest.
func takeList(b []byte, limit int) (list [][]byte, rest []byte, err error) {
	n, rest, err := takeHead(b, MajorArray)
	switch {
	case err != nil:
		return nil, nil, err
	case n > uint64(limit):
		return nil, nil, fmt.Errorf("%d statements, limit %d: %w", n, limit, ErrTooBig)
	}
	for range n {
		var s []byte
		if s, rest, err = takeBytes(rest); err != nil {
			return nil, nil, err
		}
		list = append(list, append([]byte(nil), s...))
	}
	return list, rest, nil
}
