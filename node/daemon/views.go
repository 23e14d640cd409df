// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	"croft/ebpf"
	"croft/ebpf/pace"
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
	c := api.Claim{Lease: e.Lease, Holder: e.Holder, Owner: e.Owner, Slice: e.Slice, Sliver: e.Sliver, Pool: string(e.Pool),
		State: e.State.String(), RSet: e.RSet, From: e.Term.From, Until: e.Term.Until, Ends: e.EndsAt, Ports: e.Ports,
		Weight: e.Weight, Exclusive: e.Exclusive, FanOut: e.FanOut, Starts: e.Starts, Share: e.Share, Said: e.Said}
	if e.Class == lease.Evictable {
		c.Class = e.Class.String()
	}
	return c
}

// slivers are what a caller may see and enter.
type slivers struct{ d *Daemon }

func (s slivers) Slivers(ctx context.Context, by api.Caller) ([]api.Sliver, error) {
	r, err := s.d.rights(ctx, by)
	if err != nil {
		return nil, err
	}
	now := s.d.time.now().Unix()
	if err := r.stands(now); err != nil {
		return nil, err
	}
	entries, err := look(ctx, s.d, func(l *lease.Ledger) []lease.Entry { return r.entries(l, now) })
	out := []api.Sliver{}
	for _, e := range entries {
		if e.Sliver != "" && e.State.Live() {
			o := s.d.sliverOf(e, now)
			if s.d.mail != nil && r.may(e, lease.VerbAudit, now) == nil {
				o.Messages = len(s.d.mail.of(e.Slice+"@"+e.Owner.String(), s.d.deps.Clock.Wall()))
			}
			out = append(out, o)
		}
	}
	return out, err
}

func (d *Daemon) sliverOf(e lease.Entry, now int64) api.Sliver {
	r := d.status.get(e.Sliver)
	out := api.Sliver{Claim: claimOf(e), Run: string(r.state), Reason: r.reason, Exit: r.exit, Restarts: r.restarts,
		Left: max(e.Term.Until-now, 0), Public: d.publicAddr(), Signed: e.Statement, End: e.End}
	if e.State == lease.Closing { // its holder is to know how long, and why
		out.Left = max(min(e.EndsAt, e.Term.Until)-now, 0)
		if out.Reason == "" {
			out.Reason = e.Reason
		}
	}
	if out.Run == "" {
		out.Run = string(sandbox.Created)
	}
	if a := r.network.Addresses.Source4; a.IsValid() {
		out.Addr = a.String()
	}
	return out
}

// open finds a sliver whose lease stands, if the caller may do one of the verbs
// there.
func (s slivers) open(ctx context.Context, by api.Caller, sliver string, any lease.Verbs) (r rights, e lease.Entry, err error) {
	if s.d.deps.Hosting == nil {
		return r, e, api.ErrVisitor
	}
	if r, err = s.d.rights(ctx, by); err != nil {
		return r, e, err
	}
	e, err = look(ctx, s.d, func(l *lease.Ledger) lease.Entry {
		e, _ := l.Sliver(sliver)
		return e
	})
	if err == nil && !e.State.Live() {
		err = api.ErrNoSliver
	}
	if err == nil {
		err = r.may(e, any, s.d.time.now().Unix())
	}
	return r, e, err
}

func (s slivers) Logs(ctx context.Context, by api.Caller, sliver string, opt sandbox.LogOptions, w io.Writer) error {
	r, e, err := s.open(ctx, by, sliver, lease.VerbLogs)
	if err != nil {
		return err
	}
	ctx, cancel := s.d.session(ctx, r, e, lease.VerbLogs)
	defer cancel()
	w = s.d.meter(sliver, ebpf.ChannelLogs).Writer(ctx, ebpf.Egress, w)
	return broken(ctx, sliverError(s.d.deps.Hosting.Runtime.Logs(ctx, sliver, opt, w)))
}

func (s slivers) Exec(ctx context.Context, by api.Caller, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error) {
	r, e, err := s.open(ctx, by, sliver, lease.VerbExec)
	if err != nil {
		return 0, err
	}
	if err := s.d.starts.take(s.d.time.now(), sliver); err != nil {
		return 0, err
	}
	ctx, cancel := s.d.session(ctx, r, e, lease.VerbExec)
	defer cancel()
	stdio = paid(ctx, s.d.meter(sliver, ebpf.ChannelExec), stdio)
	status, err := s.d.deps.Hosting.Runtime.Exec(ctx, sliver, cmd, stdio)
	return status, broken(ctx, sliverError(err))
}

// broken says why a session was broken off, where it was not its caller.
func broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// sliverError says what an adapter's error is to a caller.
func sliverError(err error) error {
	switch {
	case gone(err), errors.Is(err, ebpf.ErrNotAttached):
		return fmt.Errorf("%w: %w", api.ErrNotRunning, err)
	case errors.Is(err, pace.ErrNever):
		return fmt.Errorf("%w: %w", api.ErrNoRoom, err)
	case errors.Is(err, sandbox.ErrBusy):
		return fmt.Errorf("%w: %w", api.ErrBusy, err)
	case errors.Is(err, sandbox.ErrProgram):
		return fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return err
}

func (s slivers) Traffic(ctx context.Context, by api.Caller, sliver string) (api.Traffic, error) {
	if _, _, err := s.open(ctx, by, sliver, lease.AllVerbs); err != nil {
		return api.Traffic{}, err
	}
	c, err := s.d.deps.Hosting.Guard.Counters(ctx, sliver)
	if err != nil {
		return api.Traffic{}, sliverError(err)
	}
	return api.Traffic{Out: wayOf(c.Egress), In: wayOf(c.Ingress), Refused: s.d.packets.refused(sliver)}, nil
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
