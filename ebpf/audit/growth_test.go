// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// Whatever a node shows to a witness: what is taken goes on from the kept head, and
// what accuses the node holds by itself.
func FuzzGrowth(f *testing.F) {
	b, other := newBook(f, "n1", 1, 3, 9, 2, 5, 1), newBook(f, "n1", 2, 3, 9, 2, 5, 1)
	kept := b.head(f, 3)
	for _, g := range []Growth{growth(f, b, 3, 5), growth(f, other, 3, 5), growth(f, b, 0, 2), growth(f, b, 3, 3)} {
		var path []byte
		for _, d := range g.Path {
			path = append(path, d[:]...)
		}
		f.Add(g.Head, g.Root[:], path)
	}
	f.Fuzz(func(t *testing.T, head, root, path []byte) {
		g := Growth{Head: head}
		copy(g.Root[:], root)
		for ; len(path) >= len(lease.Digest{}); path = path[len(lease.Digest{}):] {
			g.Path = append(g.Path, lease.Digest(path[:len(lease.Digest{})]))
		}
		now, on, fork, err := g.After(kept)
		switch {
		case fork != nil:
			if s, err := VerifyProof(fork.Bytes()); err != nil || s.Head.Node != kept.Node {
				t.Fatalf("a fork that is none: %v", err)
			}
		case err == nil:
			if _, err := VerifyProof(on.Bytes()); err != nil || now.Node != kept.Node || now.Size < kept.Size {
				t.Fatalf("%s does not go on from %s: %v", now.Head, kept.Head, err)
			}
		}
	})
}

func FuzzOpenAssertion(f *testing.F) {
	f.Add(asserted(f, "n1", 1, nil).Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := OpenAssertion(b); err == nil && a.Node != leasetest.Who("n1") {
			t.Fatalf("%x is of %s", b, a.Node)
		}
	})
}
