// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/node/api"
)

// Who names the slice that held a source port at an instant and sent to a
// destination. Whoever asks shows the destination by naming it.
//
// Where the source address is not this machine's, somebody translates on the way
// and may have chosen the port: then every slice that sent to the destination may
// be the one, and the answer says so.
func (a audits) Who(ctx context.Context, _ api.Caller, req api.WhoRequest) (api.WhoAnswer, error) {
	answer := api.WhoAnswer{Node: a.d.deps.Key.Principal(), Verdict: audit.Verdict{}.String()}
	if a.d.deps.Hosting == nil {
		return answer, nil
	}
	q, nat, err := a.question(req)
	if err != nil {
		return answer, err
	}
	if err := a.allowed(ctx); err != nil {
		return answer, err
	}
	done, err := a.turn(ctx)
	if err != nil {
		return answer, err
	}
	defer done()
	if err := a.d.drain(ctx); err != nil {
		return answer, fmt.Errorf("emptying the kernel's table: %w", err)
	}
	asked := q
	if nat {
		asked.Src = netip.AddrPortFrom(q.Src.Addr(), 0)
	}
	found, err := a.d.deps.Hosting.Audit.Who(ctx, asked)
	a.worked(ctx, found.Read)
	if err != nil {
		return answer, err
	}
	if req.Prove {
		if answer.Proofs, err = a.proofs(ctx, found); err != nil {
			return answer, err
		}
	}
	signed, err := audit.SealAssertion(audit.NewAssertion(answer.Node, q, found, nat, a.pending(found), a.d.deps.Clock.Wall().UnixNano()), a.d.deps.Key)
	if err != nil {
		return answer, err
	}
	answer.Slices, answer.NAT, answer.Cut, answer.Signed = found.Slices, nat, found.Cut, signed.Bytes
	answer.Verdict = audit.Combine([]audit.Assertion{signed.Assertion}).String()
	if signed.Pending != 0 {
		at := time.Unix(0, signed.Pending).UTC()
		answer.Pending = &at
	}
	for _, x := range found.Answers {
		answer.Flows = append(answer.Flows, a.d.flows(x.Rows)...)
	}
	return answer, nil
}

// question reads what is asked, and reports whether the source address is one
// that a translator shows for this node.
func (a audits) question(req api.WhoRequest) (q audit.Who, nat bool, err error) {
	within := 5 * time.Second
	if req.Within > 0 {
		within = time.Duration(min(req.Within, audit.MaxWithin.Seconds()) * float64(time.Second))
	}
	q = audit.Who{Src: unmapped(req.Src), Dst: unmapped(req.Dst), Proto: protoOf(req.Proto), At: req.At.UnixNano(), Within: int64(within)}
	if err := q.Check(); err != nil {
		return q, false, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	if !q.Src.Addr().IsValid() {
		return q, false, fmt.Errorf("%w: no source address", api.ErrBadRequest)
	}
	return q, a.d.deps.Own != nil && !a.d.deps.Own(q.Src.Addr()), nil
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// pending is by when the last of the rows is committed to, in Unix ns, or 0 if all
// are. Nothing is closed early because somebody asks: each segment costs, and who
// asks often would cut the log into crumbs.
func (a audits) pending(f audit.Finding) (until int64) {
	size := uint64(0)
	if log := a.d.deps.Hosting.Log; log != nil {
		head, _ := log.Head()
		size = head.Size
	}
	for _, x := range f.Answers {
		for _, r := range x.Rows {
			if !r.Ref.Closed || r.Ref.Segment >= size {
				until = max(until, r.Last+int64(a.d.cfg.Bounds.Segment+2*drainEvery))
			}
		}
	}
	if until != 0 { // it may be late
		until = max(until, a.d.deps.Clock.Wall().Add(drainEvery).UnixNano())
	}
	return until
}

// proofs shows that rows of each sliver are committed to, as far as one answer
// goes: of every sliver in turn its first row, then its second.
func (a audits) proofs(ctx context.Context, f audit.Finding) (proofs [][]byte, err error) {
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
		a.charge(ctx, askProof)
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
