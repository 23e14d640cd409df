// SPDX-License-Identifier: Apache-2.0

// Package leasetest draws claim trees for tests. One line of ASCII becomes real
// statements, signed with keys that follow from their names:
//
//	cap(n1 cpu=4 @150) -> t0(alice cpu=2) -> r0(cpu=1) -> lease()
//
// An arrow leads from a parent to its child, braces hold several children, and
// the number after t and r is the slot:
//
//	cap(n1 cpu=4) -> { t0(alice cpu=2) -> r0(), t1(bob cpu=2) }
//
// A statement that says nothing of its rset, term or degree has its parent's,
// its node is the parent's node, its issuer whoever holds the parent. So a
// drawing shows only what a case is about, and every rule can be broken:
//
//	cap(node …)     the root, by its node
//	t<slot>(holder …)   a ticket
//	r<slot>(…)          a redeem
//	ask(issuer node …)  a wish without a ticket
//	hold() lease() reject()   the node's answers to a wish
//	close() revoke()    the ends of a hold or lease
//	grant(owner holder …)   verbs over a slice
//
// Within the parentheses, in any order: cpu=2 memory=1GiB and so on; @150, the
// degree; 1h..3h, the term counted from [Epoch]; by=bob, the issuer; sig=bob,
// whose key signs; node=n2; holder=bob; parent=none; slice=web; pool=lab;
// request=7; port=tcp/80:8080, numbers outside and inside; replaces=3,
// sliver=3 and parent=3, the statement drawn as the fourth; tranche=1; owner=bob;
// weight=3, of an evictable lease, and class=0 where that is not to follow;
// exclusive=1; fanout=256; bid=12; mechanism=share; lead=30s; grace=20s; verbs=3 or verbs=run,renew; sequence=1; text=why;
// and instants counted from Epoch: at=1m, said=30s, of a hold commit=30s, of a
// lease activate=60s. Nothing is checked.
//
// A reject says what it is about with about=0 lacks=cpu instant=1h, and what it
// attaches, last of its words: fills=4,9, the draws that end with the statements
// drawn as the fifth and tenth; proves=twice:0:1,2, a proof as [Tree.Proof] reads
// it; attached=junk, those bytes.
//
// The package is for tests. It keeps no state.
package leasetest

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"croft/lease"
	"croft/lease/sign"
)

// Epoch is the instant (Unix seconds) from which drawn terms count: the first
// of January 2027. It is where every term begins that a drawing does not give.
const Epoch int64 = 1_798_761_600

// Day is the length in seconds of a term that a drawing does not give.
const Day int64 = 24 * 3600

// Key returns the key of a name: always the same.
func Key(name string) *sign.Key { return sign.FromSeed(sha256.Sum256([]byte(name))) }

// Who returns the principal of a name.
func Who(name string) lease.Principal { return Key(name).Principal() }

// A Drawn is one statement of a drawing.
type Drawn struct {
	lease.Statement
	Signed lease.Signed
	ID     lease.ID
	Up     *Drawn // nil at a root

	Attachment []byte // of a reject: what it names by hash

	sketch sketch // what its children inherit
}

// Chain returns the bytes of the statements from the root to d, as they travel.
func (d *Drawn) Chain() [][]byte {
	if d == nil {
		return nil
	}
	return append(d.Up.Chain(), d.Signed.Bytes())
}

// A Tree is a drawing's statements in the order in which they are drawn.
type Tree []*Drawn

// Last returns the statement drawn last: the leaf, if the drawing has no braces.
func (t Tree) Last() *Drawn { return t[len(t)-1] }

// Draw signs what the line shows and fails the test if the line is no drawing.
func Draw(t testing.TB, line string) Tree {
	t.Helper()
	tree, err := Parse(line)
	if err != nil {
		t.Fatalf("drawing %s: %v", line, err)
	}
	return tree
}

// Parse is Draw with an error.
func Parse(line string) (Tree, error) {
	p := &parser{rest: line}
	if err := p.path(nil); err != nil {
		return nil, fmt.Errorf("column %d: %w", len(line)-len(p.rest)+1, err)
	}
	if p.skip(); p.rest != "" {
		return nil, fmt.Errorf("column %d: unexpected %q", len(line)-len(p.rest)+1, p.rest)
	}
	return p.tree, nil
}
