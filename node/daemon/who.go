// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"croft/ebpf/audit"
	"croft/node/api"
)

// Who names the slice that held a source port at an instant and sent to a
// destination, to who shows that he holds the destination; to others their own
// slices. What else fits is counted and not named, in what is signed too.
//
// Where the source address is not this machine's, somebody translates on the way
// and may have chosen the port: then every slice that sent to the destination may
// be the one, and the answer says so.
func (a audits) Who(ctx context.Context, by api.Caller, req api.WhoRequest) (api.WhoAnswer, error) {
	if a.d.deps.Hosting == nil {
		return api.WhoAnswer{Node: a.d.deps.Key.Principal(), Verdict: audit.Verdict{}.String()}, nil
	}
	k, err := a.asker(ctx, by, req.Shown, req.Dst.Addr().Unmap())
	if err != nil {
		return api.WhoAnswer{Node: a.d.deps.Key.Principal()}, err
	}
	return a.who(ctx, k, req)
}

// WhoAll is Who for the node's owner.
func (a audits) WhoAll(ctx context.Context, req api.WhoRequest) (api.WhoAnswer, error) {
	if a.d.deps.Hosting == nil {
		return api.WhoAnswer{Node: a.d.deps.Key.Principal(), Verdict: audit.Verdict{}.String()}, nil
	}
	return a.who(ctx, asker{owner: true}, req)
}

func (a audits) who(ctx context.Context, k asker, req api.WhoRequest) (api.WhoAnswer, error) {
	answer := api.WhoAnswer{Node: a.d.deps.Key.Principal(), Unshown: k.unshown, Contact: a.d.cfg.Contact}
	q, nat, err := a.question(req)
	if err != nil {
		return answer, err
	}
	found, err := a.find(ctx, k, q, nat)
	if err != nil {
		return answer, err
	}
	if req.Message != "" {
		a.charge(k, askMessage)
		if err := a.leave(k, q, req.Message, found.Slices); err != nil {
			return answer, err
		}
	}
	pending := a.pending(found)
	found = found.Only(k.may)
	if req.Prove {
		if answer.Proofs, err = a.proofs(ctx, k, found); err != nil {
			return answer, err
		}
	}
	signed, err := audit.SealAssertion(audit.NewAssertion(answer.Node, q, found, nat, pending, a.d.deps.Clock.Wall().UnixNano()), a.d.deps.Key)
	if err != nil {
		return answer, err
	}
	answer.Slices, answer.Withheld, answer.NAT, answer.Cut, answer.Signed = found.Slices, found.Withheld, nat, found.Cut, signed.Bytes
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

// find looks the question up, when the asker has an allowance left and a place is
// free. With nat the source's port says nothing.
func (a audits) find(ctx context.Context, k asker, q audit.Who, nat bool) (f audit.Finding, err error) {
	if err := a.allowed(k); err != nil {
		return f, err
	}
	done, err := a.turn(ctx)
	if err != nil {
		return f, err
	}
	defer done()
	if err := a.d.drain(ctx); err != nil {
		return f, fmt.Errorf("emptying the kernel's table: %w", err)
	}
	if nat {
		q.Src = netip.AddrPortFrom(q.Src.Addr(), 0)
	}
	f, err = a.d.deps.Hosting.Audit.Who(ctx, q)
	a.charge(k, float64(f.Read)/askRead)
	return f, err
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
	if req.Message != "" {
		if err := audit.CheckMessage(req.Message); err != nil {
			return q, false, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
		}
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
