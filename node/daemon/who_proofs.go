// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"slices"

	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/node/api"
)

// proofs shows that rows of each sliver are committed to, as far as one answer
// goes: of every sliver in turn its first row, then its second.
func (a audits) proofs(ctx context.Context, k asker, f audit.Finding) (proofs [][]byte, err error) {
	log := a.d.deps.Hosting.Log
	if log == nil {
		return nil, nil
	}
	leaves := map[uint64][]uint64{}
	var order []uint64
	for i, more := 0, true; more; i++ {
		more = false
		for _, x := range f.Answers {
			if i >= len(x.Rows) {
				continue
			}
			more = true
			r := x.Rows[i].Ref
			if _, known := leaves[r.Segment]; !r.Closed || !known && len(order) == maxProved {
				continue
			} else if !known {
				order = append(order, r.Segment)
			}
			if len(leaves[r.Segment]) < maxProvedRows && !slices.Contains(leaves[r.Segment], r.Leaf) {
				leaves[r.Segment] = append(leaves[r.Segment], r.Leaf)
			}
		}
	}
	for _, segment := range order {
		a.charge(k, askProof)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := log.Prove(segment, leaves[segment]...)
		switch {
		case errors.Is(err, store.ErrNotYet), errors.Is(err, store.ErrGone):
			continue // the answer says what it does not show
		case errors.Is(err, audit.ErrField): // with their tenures they are too many for one proof
			p, err = log.Prove(segment, leaves[segment][0])
		}
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, p.Bytes())
	}
	return proofs, nil
}

// Log shows the log to who keeps a head of so many segments.
func (a audits) Log(_ context.Context, size uint64) (api.Log, error) {
	if a.d.deps.Hosting == nil {
		return api.Log{}, api.ErrVisitor
	}
	if a.d.deps.Hosting.Log == nil {
		return api.Log{}, api.ErrNoHead
	}
	g, err := a.d.deps.Hosting.Log.Growth(size)
	if errors.Is(err, store.ErrNotYet) {
		return api.Log{}, api.ErrNoHead
	}
	out := api.Log{Head: g.Head, Path: g.Path}
	if err == nil && g.Path != nil {
		out.Root = &g.Root
	}
	return out, err
}
