// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"croft/lease"
)

// Tree is a Merkle tree of RFC 6962, section 2.1, that grows by its leaves. The
// zero value is empty. It keeps all hashes, about two a leaf.
type Tree struct {
	size   uint64
	hashes hashes
}

// hashes are those of complete subtrees, in the order of tlog.StoredHashIndex.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d of %d: %w", at, len(h), ErrField)
		}
		out[i] = h[at]
	}
	return out, nil
}

// HashLeaf returns the hash of a salted leaf: SHA-256(0 ‖ salt ‖ leaf). It uses
// buf, which it returns for the next.
func HashLeaf(buf []byte, salt Salt, leaf []byte) (lease.Digest, []byte) {
	buf = append(append(append(buf[:0], 0), salt[:]...), leaf...)
	return sha256.Sum256(buf), buf
}

// HashSegment returns the hash of a leaf of the log: SHA-256(0 ‖ segment).
func HashSegment(b []byte) lease.Digest { return lease.Digest(tlog.RecordHash(b)) }

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Append adds a leaf by its hash.
func (t *Tree) Append(leaf lease.Digest) {
	h := tlog.Hash(leaf)
	t.hashes = append(t.hashes, h)
	for level := 0; t.size>>level&1 == 1; level++ {
		h = tlog.NodeHash(t.hashes[tlog.StoredHashIndex(level, int64(t.size>>level-1))], h)
		t.hashes = append(t.hashes, h)
	}
	t.size++
}

// Leaf returns the hash of one leaf.
func (t *Tree) Leaf(index uint64) (lease.Digest, error) {
	if index >= t.size {
		return lease.Digest{}, fmt.Errorf("leaf %d of %d: %w", index, t.size, ErrField)
	}
	return lease.Digest(t.hashes[tlog.StoredHashIndex(0, int64(index))]), nil
}

// Root returns the root that the tree had when it had size leaves.
func (t *Tree) Root(size uint64) (lease.Digest, error) {
	if size > t.size {
		return lease.Digest{}, fmt.Errorf("root of %d leaves of %d: %w", size, t.size, ErrField)
	}
	h, err := tlog.TreeHash(int64(size), t.hashes)
	return lease.Digest(h), err
}

// Path returns the audit path of a leaf in the tree of size leaves.
func (t *Tree) Path(index, size uint64) ([]lease.Digest, error) {
	if size > t.size || index >= size {
		return nil, fmt.Errorf("path of leaf %d in %d leaves of %d: %w", index, size, t.size, ErrField)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), t.hashes)
	return digests(p), err
}

// Since returns the path that shows the tree of size old to be the beginning of
// the one of size leaves.
func (t *Tree) Since(old, size uint64) ([]lease.Digest, error) {
	if size > t.size || old > size || old == 0 {
		return nil, fmt.Errorf("path from %d to %d leaves of %d: %w", old, size, t.size, ErrField)
	}
	p, err := tlog.ProveTree(int64(size), int64(old), t.hashes)
	return digests(p), err
}

func digests(p []tlog.Hash) []lease.Digest {
	out := make([]lease.Digest, len(p))
	for i, h := range p {
		out[i] = lease.Digest(h)
	}
	return out
}

func tlogHashes(p []lease.Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i, h := range p {
		out[i] = tlog.Hash(h)
	}
	return out
}

// under reports whether a leaf is at its index under a root of size leaves.
func under(root lease.Digest, size, index uint64, leaf lease.Digest, path []lease.Digest) bool {
	return index < size && tlog.CheckRecord(tlogHashes(path), int64(size), tlog.Hash(root), int64(index), tlog.Hash(leaf)) == nil
}
