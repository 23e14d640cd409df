// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"net/netip"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/ebpf"
	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// read runs f on the books between two steps.
func (d *Daemon) read(ctx context.Context, f func(*lease.Ledger)) error {
	done := make(chan struct{})
	if err := d.submit(ctx, query(func() { f(d.core.Ledger()); close(done) })); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.done:
		return errStopping
	}
}

// query is an input that only looks: the loop runs it and the core never sees it.
type query func()

func (query) String() string { return "query" }

// books returns every booking, for the node's owner.
func (d *Daemon) books(ctx context.Context) ([]api.Claim, error) {
	claims := []api.Claim{}
	err := d.read(ctx, func(l *lease.Ledger) {
		for _, e := range l.Leases() {
			claims = append(claims, claimOf(e))
		}
	})
	return claims, err
}

func claimOf(e lease.Entry) api.Claim {
	return api.Claim{Lease: e.Lease, Holder: e.Holder, Slice: e.Slice, Sliver: e.Sliver, Pool: string(e.Pool),
		State: e.State.String(), RSet: e.RSet, From: e.Term.From, Until: e.Term.Until, Ports: e.Ports}
}

// slivers are the caller's own.
type slivers struct{ d *Daemon }

func (s slivers) Slivers(ctx context.Context, caller lease.Principal) ([]api.Sliver, error) {
	out := []api.Sliver{}
	now := s.d.time.now().Unix()
	err := s.d.read(ctx, func(l *lease.Ledger) {
		for _, e := range l.Holder(caller) {
			if e.Sliver != "" && e.State.Live() {
				out = append(out, s.d.sliverOf(e, now))
			}
		}
	})
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
	found := false
	err := s.d.read(ctx, func(l *lease.Ledger) {
		e, ok := l.Sliver(sliver)
		found = ok && e.Holder == caller && e.State.Live()
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
	return s.d.deps.Hosting.Runtime.Logs(ctx, sliver, opt, w)
}

func (s slivers) Exec(ctx context.Context, caller lease.Principal, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error) {
	if err := s.own(ctx, caller, sliver); err != nil {
		return 0, err
	}
	return s.d.deps.Hosting.Runtime.Exec(ctx, sliver, cmd, stdio)
}

func (s slivers) Traffic(ctx context.Context, caller lease.Principal, sliver string) (api.Traffic, error) {
	if err := s.own(ctx, caller, sliver); err != nil {
		return api.Traffic{}, err
	}
	c, err := s.d.deps.Hosting.Guard.Counters(ctx, sliver)
	if err != nil {
		return api.Traffic{}, err
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
		if a, ok := addrOf(s); ok {
			return a.String()
		}
	}
	return ""
}

func addrOf(s string) (netip.Addr, bool) {
	m, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}
