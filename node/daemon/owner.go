// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net"
	"slices"

	"croft/lease"
	"croft/node/api"
)

// owner is what the unix socket serves.
type owner struct{ d *Daemon }

func (o owner) Status(ctx context.Context) (api.Status, error) {
	d := o.d
	s := api.Status{
		Node: d.deps.Key.Principal(), Name: d.cfg.Name, Tag: d.tag, Version: Version,
		Addrs: d.deps.Wire.Addrs(), Peers: d.deps.Wire.Peers(), Known: d.deps.Gossip.Known(),
		Hosting: d.deps.Hosting != nil, Why: d.why, Started: d.started, Time: d.time.now(), PolicyFault: d.policyFault(),
	}
	if d.deps.Reach != nil {
		s.Reach = d.deps.Reach.Reach()
	}
	if joined := d.joined.Load(); joined != nil {
		s.Joined, s.JoinedIn = true, joined.Sub(d.started).Seconds()
	}
	term := lease.Term{From: s.Time.Unix(), Until: s.Time.Add(freeAhead).Unix()}
	return look(ctx, d, func(l *lease.Ledger) api.Status {
		if s.Hosting { // what a visitor has, it does not lease out
			s.Free = l.Free(lease.PoolCommons, term)
		}
		if d.bar != lease.ReasonNone {
			s.Barred = d.bar.String()
		}
		for _, e := range l.Leases() {
			if e.State == lease.Active {
				s.Slivers++
			}
		}
		return s
	})
}

func (o owner) Doctor(context.Context) ([]api.Check, error) {
	now := o.d.deps.Clock.Wall()
	return slices.Concat(Doctor(o.d.cfg), PolicyCheck(o.d.cfg, now), o.d.site.check(now)), nil
}

func (o owner) Policy(ctx context.Context) (api.Policy, error) { return o.d.policyStatus(ctx) }

func (o owner) Reload(ctx context.Context) (api.Policy, error) {
	if err := o.d.Reload(ctx); err != nil {
		return api.Policy{}, err
	}
	return o.d.policyStatus(ctx)
}

func (o owner) Issue(ctx context.Context, req api.IssueRequest) (api.Answer, error) {
	return o.d.issue(ctx, req)
}

// Revoke ends a lease by the owner's will, after the grace that it states.
func (o owner) Revoke(ctx context.Context, id lease.ID, reason string) (api.Answer, error) {
	return claims(o).ask(ctx, func(ref uint64) lease.Input { return lease.Recall{Ref: ref, Lease: id, Reason: reason} })
}

func (o owner) Books(ctx context.Context) ([]api.Claim, error) { return o.d.books(ctx) }

// Pipe opens bytes to a node.
func (o owner) Pipe(ctx context.Context, to lease.Principal) (net.Conn, error) {
	conn, err := o.d.deps.Wire.Pipe(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", api.ErrUnreachable, to.Short(), err)
	}
	return conn, nil
}
