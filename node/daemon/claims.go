// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// claims is the ledger as callers meet it.
type claims struct{ d *Daemon }

// Wish looks at a renewal before the ledger grants it: the old lease ends where
// the new one begins, whether its limits can be held or not.
func (c claims) Wish(ctx context.Context, by api.Caller, chain [][]byte) (api.Answer, error) {
	if rset, renews := renewal(chain); renews {
		if err := sandbox.CheckLimits(rset); err != nil {
			return api.Answer{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
		}
	}
	shown, err := c.d.authority(ctx, by)
	if err != nil {
		return api.Answer{}, err
	}
	if c.d.deps.Hosting == nil {
		return api.Answer{}, api.ErrVisitor
	}
	answer, err := c.d.wished(ctx, lease.Wish{Caller: by.Principal, Chain: chain, Authority: shown, Source: api.Source(ctx)})
	if err != nil {
		return api.Answer{}, err
	}
	return c.d.answer(answer), nil
}

// Tickets are those that the caller holds, those that end last at the end.
func (c claims) Tickets(ctx context.Context, by api.Caller) ([]api.HeldTicket, error) {
	now := c.d.time.now().Unix()
	return look(ctx, c.d, func(l *lease.Ledger) []api.HeldTicket {
		out := []api.HeldTicket{}
		for _, t := range l.Tickets() {
			if t.Holder == by.Principal && t.Term.Until > now {
				out = append(out, api.HeldTicket{Ticket: t.Ticket, RSet: t.RSet, From: t.Term.From, Until: t.Term.Until, Degree: t.Degree,
					Chain: t.Chain})
			}
		}
		slices.SortStableFunc(out, func(a, b api.HeldTicket) int { return cmp.Compare(a.Until, b.Until) })
		return out[:min(len(out), maxMine)]
	})
}

// renewal is what a wish asks for in place of a running sliver's lease. What does
// not open is the ledger's to refuse.
func renewal(chain [][]byte) (lease.RSet, bool) {
	if len(chain) == 0 {
		return lease.RSet{}, false
	}
	s, err := lease.ParseSigned(chain[len(chain)-1], lease.MaxStatement)
	if err != nil {
		return lease.RSet{}, false
	}
	o, err := s.Open()
	if err != nil {
		return lease.RSet{}, false
	}
	switch st := o.Statement.(type) {
	case *lease.Ask:
		return st.RSet, !st.Replaces.IsZero()
	case *lease.Redeem:
		return st.RSet, !st.Replaces.IsZero()
	}
	return lease.RSet{}, false
}

func (c claims) Commit(ctx context.Context, by api.Caller, hold lease.ID) (api.Answer, error) {
	return c.ask(ctx, func(ref uint64) lease.Input { return lease.Commit{Ref: ref, Caller: by.Principal, Hold: hold} })
}

// Activate looks at the program before the ledger makes it durable: what cannot
// run must not use up the lease's one activation.
func (c claims) Activate(ctx context.Context, by api.Caller, id lease.ID, program []byte) (api.Answer, error) {
	var p sandbox.Program
	if err := json.Unmarshal(program, &p); err != nil {
		return api.Answer{}, fmt.Errorf("%w: program: %w", api.ErrBadRequest, err)
	}
	if err := p.Check(); err != nil {
		return api.Answer{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	if c.d.deps.Hosting == nil {
		return api.Answer{}, api.ErrVisitor
	}
	if _, ok := c.d.deps.Hosting.Blobs.Has(p.Blob); !ok {
		return api.Answer{}, fmt.Errorf("%w: blob %s is not on this node: send it first", api.ErrBadRequest, p.Blob)
	}
	canonical, err := json.Marshal(p)
	if err != nil {
		return api.Answer{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return c.ask(ctx, func(ref uint64) lease.Input {
		return lease.Activate{Ref: ref, Caller: by.Principal, Lease: id, Program: canonical}
	})
}

func (c claims) End(ctx context.Context, by api.Caller, close []byte) (api.Answer, error) {
	shown, err := c.d.authority(ctx, by)
	if err != nil {
		return api.Answer{}, err
	}
	return c.ask(ctx, func(ref uint64) lease.Input {
		return lease.End{Ref: ref, Caller: by.Principal, Close: close, Authority: shown}
	})
}

func (c claims) ask(ctx context.Context, in func(ref uint64) lease.Input) (api.Answer, error) {
	if c.d.deps.Hosting == nil {
		return api.Answer{}, api.ErrVisitor
	}
	answer, err := c.d.ask(ctx, in)
	if err != nil {
		return api.Answer{}, err
	}
	return c.d.answer(answer), nil
}

// answer adds to a ledger's answer the seconds that are left, so that a caller
// with another clock knows when a hold falls or a lease ends.
func (d *Daemon) answer(a lease.Answer) api.Answer {
	out := api.Answer{Statements: a.Statements, Refusal: api.NewRefusal(a.Refusal)}
	for _, b := range a.Statements {
		o, err := lease.Open(b)
		if err != nil {
			continue // ours: it opens
		}
		switch st := o.Statement.(type) {
		case *lease.Hold:
			out.Left = st.CommitBy - d.time.now().Unix()
		case *lease.Lease:
			out.Left = st.Until - d.time.now().Unix()
		}
	}
	return out
}

// issue gives a ticket for the node's owner. The request id is made of what is
// asked, so that asking twice gives one ticket.
func (d *Daemon) issue(ctx context.Context, req api.IssueRequest) (api.Answer, error) {
	if req.Degree == 0 {
		req.Degree = lease.MinDegree
	}
	b, err := json.Marshal(req)
	if err != nil {
		return api.Answer{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	sum := sha256.Sum256(b)
	return claims{d}.ask(ctx, func(ref uint64) lease.Input {
		return lease.Issue{Ref: ref, Holder: req.Holder, RSet: req.RSet, Term: lease.Term{From: req.From, Until: req.Until},
			Degree: req.Degree, FanOut: req.FanOut, Request: lease.Request(sum[:16])}
	})
}
