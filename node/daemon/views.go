// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	"croft/ebpf"
	"croft/lease"
	"croft/node/api"
	"croft/node/wire"
	"croft/sandbox"
)

// books returns every booking, for the node's owner.
func (d *Daemon) books(ctx context.Context) ([]api.Claim, error) {
	return look(ctx, d, func(l *lease.Ledger) []api.Claim {
		claims := []api.Claim{}
		for _, e := range l.Leases() {
			claims = append(claims, claimOf(e))
		}
		return claims
	})
}

func claimOf(e lease.Entry) api.Claim {
	c := api.Claim{Lease: e.Lease, Holder: e.Holder, Slice: e.Slice, Sliver: e.Sliver, Pool: string(e.Pool),
		State: e.State.String(), RSet: e.RSet, From: e.Term.From, Until: e.Term.Until, Ports: e.Ports,
		Weight: e.Weight, Exclusive: e.Exclusive, Starts: e.Starts, Share: e.Share}
	if e.Class == lease.Evictable {
		c.Class = e.Class.String()
	}
	return c
}

// slivers are the caller's own.
type slivers struct{ d *Daemon }

func (s slivers) Slivers(ctx context.Context, caller lease.Principal) ([]api.Sliver, error) {
	entries, err := look(ctx, s.d, func(l *lease.Ledger) []lease.Entry { return l.Holder(caller) })
	out := []api.Sliver{}
	for _, e := range entries {
		if e.Sliver != "" && e.State.Live() {
			out = append(out, s.d.sliverOf(e, s.d.time.now().Unix()))
		}
	}
	return out, err
}

func (d *Daemon) sliverOf(e lease.Entry, now int64) api.Sliver {
	r := d.status.get(e.Sliver)
	out := api.Sliver{Claim: claimOf(e), Run: string(r.state), Reason: r.reason, Exit: r.exit, Restarts: r.restarts,
		Left: max(e.Term.Until-now, 0), Public: d.publicAddr()}
	if out.Run == "" {
		out.Run = string(sandbox.Created)
	}
	if a := r.network.Addresses.Source4; a.IsValid() {
		out.Addr = a.String()
	}
	return out
}

// own returns nil if the sliver is the caller's and its lease stands.
func (s slivers) own(ctx context.Context, caller lease.Principal, sliver string) error {
	if s.d.deps.Hosting == nil {
		return api.ErrVisitor
	}
	found, err := look(ctx, s.d, func(l *lease.Ledger) bool {
		e, ok := l.Sliver(sliver)
		return ok && e.Holder == caller && e.State.Live()
	})
	if err == nil && !found {
		err = api.ErrNoSliver
	}
	return err
}

func (s slivers) Logs(ctx context.Context, caller lease.Principal, sliver string, opt sandbox.LogOptions, w io.Writer) error {
	if err := s.own(ctx, caller, sliver); err != nil {
		return err
	}
	return sliverError(s.d.deps.Hosting.Runtime.Logs(ctx, sliver, opt, w))
}

func (s slivers) Exec(ctx context.Context, caller lease.Principal, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error) {
	if err := s.own(ctx, caller, sliver); err != nil {
		return 0, err
	}
	status, err := s.d.deps.Hosting.Runtime.Exec(ctx, sliver, cmd, stdio)
	return status, sliverError(err)
}

// sliverError says what an adapter's error is to a caller.
func sliverError(err error) error {
	switch {
	case gone(err), errors.Is(err, ebpf.ErrNotAttached):
		return fmt.Errorf("%w: %w", api.ErrNotRunning, err)
	case errors.Is(err, sandbox.ErrBusy):
		return fmt.Errorf("%w: %w", api.ErrBusy, err)
	case errors.Is(err, sandbox.ErrProgram):
		return fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return err
}

func (s slivers) Traffic(ctx context.Context, caller lease.Principal, sliver string) (api.Traffic, error) {
	if err := s.own(ctx, caller, sliver); err != nil {
		return api.Traffic{}, err
	}
	c, err := s.d.deps.Hosting.Guard.Counters(ctx, sliver)
	if err != nil {
		return api.Traffic{}, sliverError(err)
	}
	return api.Traffic{Out: wayOf(c.Egress), In: wayOf(c.Ingress)}, nil
}

func wayOf(c ebpf.Count) api.Way {
	w := api.Way{SeenPackets: c.SeenPackets, SeenBytes: c.SeenBytes, PassedPackets: c.PassedPackets, PassedBytes: c.PassedBytes}
	for reason, n := range c.Dropped {
		if n > 0 {
			if w.Dropped == nil {
				w.Dropped = map[string]uint64{}
			}
			w.Dropped[ebpf.Reason(reason).String()] = n
		}
	}
	return w
}

// publicAddr is the first address that the node tells of itself.
func (d *Daemon) publicAddr() string {
	for _, s := range d.deps.Wire.Addrs() {
		if a, ok := wire.IP(s); ok {
			return a.String()
		}
	}
	return ""
}
