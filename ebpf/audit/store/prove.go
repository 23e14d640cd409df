// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"slices"

	"croft/ebpf/audit"
)

// Head returns the newest head that was signed, and false if there is none.
func (s *Store) Head() (audit.OpenedHead, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head, s.head.Size > 0
}

// Segments returns the leaves of the log from one on, at most limit.
func (s *Store) Segments(from uint64, limit int) []audit.Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from >= uint64(len(s.records)) {
		return nil
	}
	rest := s.records[from:]
	return slices.Clone(rest[:min(len(rest), limit)])
}

// Prove returns the proof that rows of a closed segment, by their leaves, are
// under the newest head, and with them the tenures of their slivers, which say
// whose they are. It returns ErrNotYet, ErrGone or ErrCorrupt, and
// audit.ErrField for leaves that are no rows or too many.
func (s *Store) Prove(number uint64, leaves ...uint64) (*audit.Inclusion, error) {
	c, tree, err := s.rehash(number)
	if err != nil {
		return nil, fmt.Errorf("proving rows of segment %d: %w", number, err)
	}
	leaves = slices.Clone(leaves)
	rest := len(c.rows) + len(c.alarms) + len(c.epochs)
	for _, leaf := range slices.Clone(leaves) {
		if leaf >= uint64(len(c.rows)) {
			return nil, fmt.Errorf("row %d of %d: %w", leaf, len(c.rows), audit.ErrField)
		}
		row := c.rows[leaf]
		for i, t := range c.tenures {
			if t.Sliver == row.Sliver && t.During(row.First-int64(slack), row.Last+int64(slack)) {
				leaves = append(leaves, uint64(rest+i))
			}
		}
	}
	return s.openings(c, tree, number, leaves)
}

// ProveAccount returns the proof of all alarms and accounts of epochs in a closed
// segment, as far as one proof holds them.
func (s *Store) ProveAccount(number uint64) (*audit.Inclusion, error) {
	c, tree, err := s.rehash(number)
	if err != nil {
		return nil, fmt.Errorf("proving the account of segment %d: %w", number, err)
	}
	var leaves []uint64
	for i := range min(len(c.alarms)+len(c.epochs), audit.MaxOpenings) {
		leaves = append(leaves, uint64(len(c.rows)+i))
	}
	return s.openings(c, tree, number, leaves)
}

// openings opens leaves of one segment under the newest head.
func (s *Store) openings(c *content, tree *audit.Tree, number uint64, leaves []uint64) (*audit.Inclusion, error) {
	slices.Sort(leaves)
	leaves = slices.Compact(leaves)
	if len(leaves) == 0 || len(leaves) > audit.MaxOpenings {
		return nil, fmt.Errorf("%d leaves in one proof, limit %d: %w", len(leaves), audit.MaxOpenings, audit.ErrField)
	}
	rest := c.rest()
	p := &audit.Inclusion{K: audit.ProofInclusion}
	for _, i := range leaves {
		path, err := tree.Path(i, tree.Size())
		if err != nil {
			return nil, err
		}
		var leaf []byte
		if i < uint64(len(c.rows)) {
			leaf = audit.AppendRow(nil, c.rows[i])
		} else {
			leaf = rest[i-uint64(len(c.rows))]
		}
		p.Leaves = append(p.Leaves, audit.Opening{Index: i, Salt: c.secret.Salt(i), Leaf: leaf, Path: path})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number >= s.head.Size {
		return nil, fmt.Errorf("segment %d under a head of %d: %w", number, s.head.Size, ErrNotYet)
	}
	var err error
	p.Head, p.Segment = s.head.Bytes, s.records[number].Bytes()
	p.Path, err = s.log.Tree().Path(number, s.head.Size)
	return p, err
}

// Consistency returns the proof that the newest head goes on from an older one of
// this node. A head that it cannot go on from, because the log is not the one that
// it was of, makes a proof that does not verify.
func (s *Store) Consistency(old audit.OpenedHead) (*audit.Consistency, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	if old.Node != s.opt.Node || old.Size > s.head.Size {
		return nil, fmt.Errorf("from head %s to %s: %w", old.Head, s.head.Head, audit.ErrField)
	}
	p := &audit.Consistency{K: audit.ProofConsistency, Old: old.Bytes, New: s.head.Bytes}
	if old.Size == s.head.Size {
		return p, nil
	}
	var err error
	p.Path, err = s.log.Tree().Since(old.Size, s.head.Size)
	return p, err
}
