// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"

	"croft/ebpf"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node/api"
)

// AllFigures are of every sliver, for the node's owner.
func (o owner) AllFigures(ctx context.Context) ([]api.Figures, error) {
	if o.d.deps.Hosting == nil {
		return nil, api.ErrVisitor
	}
	entries, err := look(ctx, o.d, func(l *lease.Ledger) []lease.Entry { return l.Leases() })
	if err != nil {
		return nil, err
	}
	return o.d.figures(ctx, entries)
}

// Figures are of the slivers whose output or recorded traffic the caller may
// read.
func (s slivers) Figures(ctx context.Context, by api.Caller, slice string) ([]api.Figures, error) {
	if s.d.deps.Hosting == nil {
		return nil, api.ErrVisitor
	}
	if slice != "" {
		if err := lease.CheckLabel(slice); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
		}
	}
	r, err := s.d.rights(ctx, by)
	if err != nil {
		return nil, err
	}
	now := s.d.time.now().Unix()
	if err := r.stands(now); err != nil {
		return nil, err
	}
	var refused error
	entries, err := look(ctx, s.d, func(l *lease.Ledger) (may []lease.Entry) {
		for _, e := range r.entries(l, now) {
			if slice != "" && e.Slice != slice {
				continue
			}
			if err := r.may(e, lease.VerbLogs|lease.VerbAudit, now); err != nil {
				refused = err
				continue
			}
			may = append(may, e)
		}
		return may
	})
	if err == nil && len(entries) == 0 {
		err = refused // there is something, but not for him
	}
	if err != nil {
		return nil, err
	}
	return s.d.figures(ctx, entries)
}

// figures counts those of the entries that have a guard.
func (d *Daemon) figures(ctx context.Context, entries []lease.Entry) ([]api.Figures, error) {
	plumbing, err := d.deps.Hosting.Network.Counters(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]slivernet.Counters{}
	for _, c := range plumbing {
		byName[c.Sliver] = c
	}
	all := []api.Figures{}
	for _, e := range entries {
		if e.Sliver == "" || !e.State.Live() {
			continue
		}
		f, err := d.figuresOf(ctx, e, byName[e.Sliver])
		if errors.Is(err, ebpf.ErrNotAttached) {
			continue // it has yet to begin, or has failed
		}
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (d *Daemon) figuresOf(ctx context.Context, e lease.Entry, c slivernet.Counters) (api.Figures, error) {
	counted, err := d.deps.Hosting.Guard.Counters(ctx, e.Sliver)
	if err != nil {
		return api.Figures{}, err
	}
	in := e.RSet
	if !e.Share.IsZero() {
		in = e.Share
	}
	f := api.Figures{
		Node: d.deps.Key.Principal(), Name: d.cfg.Name, Slice: e.Slice, Owner: e.Owner, Sliver: e.Sliver, At: d.deps.Clock.Wall().UTC(),
		Out: wayOf(counted.Egress), In: wayOf(counted.Ingress), OutRate: in[lease.EgressRate], InRate: in[lease.IngressRate],
		OutPacketsLeft: counted.PacketsLeft[ebpf.Egress], InPacketsLeft: counted.PacketsLeft[ebpf.Ingress],
		Flows: api.LiveFlows{Limit: c.Limit, Out: c.Out, In: c.In, RefusedOut: c.RefusedOut, RefusedIn: c.RefusedIn, NoPort: c.NoPort},
		Names: api.Names{Asked: c.Questions.Asked, Refused: c.Questions.Refused, Failed: c.Questions.Failed,
			UpBytes: c.Questions.UpBytes, DownBytes: c.Questions.DownBytes},
	}
	if f.Daily = in[lease.EgressDaily]; f.Daily > 0 {
		f.DailyLeft = counted.DailyLeft
	}
	queues, err := d.deps.Hosting.Network.Queues(ctx, e.Sliver)
	if errors.Is(err, slivernet.ErrNoSliver) {
		return f, nil // its plumbing went meanwhile
	}
	if err != nil {
		return api.Figures{}, err
	}
	f.Queues = &api.Queues{Out: queueOf(queues.Egress), In: queueOf(queues.Ingress)}
	return f, nil
}

func queueOf(q slivernet.Queue) api.Queue {
	ms := func(l slivernet.Leaf) float64 { return float64(l.Delay.Microseconds()) / 1000 }
	return api.Queue{Shaped: q.Shaped, Sparse: ms(q.Sparse), Bulk: ms(q.Bulk),
		Backlog: q.Sparse.BacklogBytes + q.Bulk.BacklogBytes, Dropped: q.Drops()}
}
