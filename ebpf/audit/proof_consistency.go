// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"croft/lease"
)

// Consistency shows that the log of one head is the beginning of another's: what
// was recorded when the first was signed still is, unchanged.
type Consistency struct {
	K    ProofKind      `cbor:"0,keyasint"`
	Old  []byte         `cbor:"1,keyasint"` // signed head
	New  []byte         `cbor:"2,keyasint"` // signed head, of at least its size
	Path []lease.Digest `cbor:"3,keyasint,omitempty"`
}

func (p *Consistency) Kind() ProofKind { return ProofConsistency }

func (p *Consistency) Bytes() []byte { return encoded(p) }

func (p *Consistency) shape() error {
	if p.K != ProofConsistency || len(p.Path) > maxPath+1 {
		return ErrProofShape
	}
	return nil
}

// Verify returns both heads.
func (p *Consistency) Verify() (Shown, error) {
	if err := p.shape(); err != nil {
		return Shown{}, err
	}
	old, new, err := twoHeads(p.Old, p.New)
	if err != nil {
		return Shown{}, err
	}
	if err := grown(old.Head, new.Head, p.Path); err != nil {
		return Shown{}, err
	}
	return Shown{Kind: ProofConsistency, Head: old, Next: new}, nil
}

func grown(old, new Head, path []lease.Digest) error {
	ok := old.Root == new.Root && len(path) == 0
	switch {
	case old.Size > new.Size:
		return fmt.Errorf("size %d before %d: %w", old.Size, new.Size, ErrProofOrder)
	case old.Size < new.Size:
		ok = grew(old.Size, old.Root, new, path)
	}
	if !ok {
		return fmt.Errorf("size %d to %d: %w", old.Size, new.Size, ErrProofGrown)
	}
	return nil
}

// grew reports whether a log of new had that root when it was of a smaller size.
func grew(size uint64, root lease.Digest, new Head, path []lease.Digest) bool {
	return size > 0 && size < new.Size &&
		tlog.CheckTree(tlogHashes(path), int64(new.Size), tlog.Hash(new.Root), int64(size), tlog.Hash(root)) == nil
}
