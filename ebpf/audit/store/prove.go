// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
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

// Check holds the rows of a closed segment against the leaf of the log: whether
// one byte of what was committed to is another now. It returns ErrCorrupt then,
// and ErrGone when there are no rows to hold.
func (s *Store) Check(number uint64) error {
	_, _, err := s.rehash(number)
	return err
}

// rehash reads a closed segment and its tree, and holds them against the log.
func (s *Store) rehash(number uint64) (*content, *audit.Tree, error) {
	s.mu.Lock()
	failed, size := s.failed, uint64(len(s.records))
	var r audit.Segment
	if number < size {
		r = s.records[number]
	}
	s.mu.Unlock()
	switch {
	case failed != nil:
		return nil, nil, failed
	case number >= size:
		return nil, nil, fmt.Errorf("segment %d of %d: %w", number, size, ErrNotYet)
	}
	var n int64
	file, err := openClosed(closedPath(s.dir, number), &n)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("segment %d: %w", number, ErrGone)
	}
	if err != nil {
		return nil, nil, err
	}
	defer file.close()
	c, err := file.content()
	if err != nil {
		return nil, nil, err
	}
	tree := c.tree()
	root, err := tree.Root(tree.Size())
	if err != nil {
		return nil, nil, err
	}
	if file.segment != r || c.segment(number, root) != r {
		return nil, nil, fmt.Errorf("segment %d is not the one in the log: %w", number, ErrCorrupt)
	}
	return c, tree, nil
}
