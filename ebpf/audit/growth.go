// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"croft/lease"
)

// Growth is how a node shows its log to somebody who keeps a head of it: its
// newest head, and what its log was when it had the size of the kept one.
type Growth struct {
	Head []byte         // signed, the newest
	Root lease.Digest   // over the first segments, as many as the kept head has; zero where that is not smaller
	Path []lease.Digest // of consistency from there to Head
}

// After holds a growth against a head of the same log. It returns the new head,
// the proof that it goes on from old, and of a log that does not, as far as the
// node has shown it, the fork. The error is that of the head, ErrProofNodes,
// ErrProofOrder for a log that was larger before, and ErrProofGrown for one of
// which nothing is shown.
func (g Growth) After(old OpenedHead) (now OpenedHead, on *Consistency, fork *Fork, err error) {
	if now, err = OpenHead(g.Head); err != nil {
		return now, nil, nil, err
	}
	on = &Consistency{K: ProofConsistency, Old: old.Bytes, New: now.Bytes, Path: g.Path}
	if old.Size == now.Size {
		on.Path = nil
	}
	_, err = on.Verify()
	if err == nil {
		return now, on, nil, nil
	}
	if f, ok := ForkOfHeads(old, now); ok {
		return now, nil, f, nil
	}
	if old.Node == now.Node && old.Size < now.Size {
		f := &Fork{K: ProofFork, A: old.Bytes, B: now.Bytes, Regrown: []Regrown{{Root: g.Root, Path: paths(g.Path)}}}
		if _, forkErr := f.Verify(); forkErr == nil {
			return now, nil, f, nil
		}
	}
	return now, nil, nil, fmt.Errorf("from %d to %d segments: %w", old.Size, now.Size, err)
}
