// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"croft/ebpf"
	"croft/ebpf/audit"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/sandbox"
)

// launch makes a sliver run: the network first, still down; then its limits;
// only then is the link raised and the program started. So no packet is ever
// without limits. What is there from before a crash is taken up as it is.
func (x *executor) launch(ctx context.Context, e sandbox.Launch) error {
	l, err := openLease(e.Statement)
	if err != nil {
		return err
	}
	var program sandbox.Program
	if err := json.Unmarshal(e.Program, &program); err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	if x.finished(e.Sliver) {
		return nil
	}
	deadline := x.time.deadline(l.Until)
	att, err := x.host.Network.Add(ctx, plumbing(e.Sliver, e.Place, l))
	if err != nil {
		return fmt.Errorf("making the network: %w", err)
	}
	if err := x.host.Guard.Attach(ctx, att.Guard, ebpf.Compile(l, att.Addresses, deadline)); err != nil {
		return fmt.Errorf("attaching the guard: %w", err)
	}
	if err := began(x.host.Audit, x.tenure(e, l, att)); err != nil {
		return fmt.Errorf("recording who holds the source ports: %w", err)
	}
	if err := x.host.Network.Up(ctx, e.Sliver); err != nil {
		return fmt.Errorf("raising the link: %w", err)
	}
	x.bind(e.Sliver, att)
	err = x.host.Runtime.Start(ctx, sandbox.Spec{
		Sliver: e.Sliver, Slice: l.Slice + "@" + l.SliceOwner().Short(), Hostname: l.Slice, Place: e.Place,
		Program: program, RSet: l.RSet, NetNS: att.NetNS, Resolver: slivernet.Resolver, Deadline: deadline,
	})
	if err != nil {
		return fmt.Errorf("starting the program: %w", err)
	}
	if l.Sliver.IsZero() {
		return nil
	}
	// A crash may have come between a renewal and its adjustment, and what runs
	// was started under the lease before.
	if err := x.limit(ctx, e.Sliver, l); err != nil && !gone(err) {
		return fmt.Errorf("putting the renewed lease in force: %w", err)
	}
	return nil
}

// adjust puts another lease's limits in force: the deadline first, which must
// not pass while the rest is on its way. A program that has ended by itself has
// none.
func (x *executor) adjust(ctx context.Context, e sandbox.Adjust) error {
	l, err := openLease(e.Statement)
	if err != nil {
		return err
	}
	if err := x.limit(ctx, e.Sliver, l); err != nil && !gone(err) {
		return err
	}
	att, err := x.host.Network.Add(ctx, plumbing(e.Sliver, e.Place, l))
	if err != nil {
		return err
	}
	err = x.host.Guard.Update(ctx, e.Sliver, ebpf.Compile(l, att.Addresses, x.time.deadline(l.Until)))
	if errors.Is(err, ebpf.ErrNotAttached) {
		err = nil // its launch has yet to come, or found that the program had ended
	}
	return err
}

// limit puts in force what is held by the runtime and the shaper.
func (x *executor) limit(ctx context.Context, sliver string, l *lease.Lease) error {
	if err := x.host.Runtime.Extend(ctx, sliver, l.RSet, x.time.deadline(l.Until)); err != nil {
		return err
	}
	return x.host.Network.SetRates(ctx, sliver, l.RSet[lease.EgressRate], l.RSet[lease.IngressRate])
}

// remove goes from the program outwards: what has no process sends no packet,
// what has no link needs no guard.
func (x *executor) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, launchLimit)
	defer cancel()
	if err := x.host.Runtime.Stop(ctx, name, stopGrace); err != nil && !gone(err) {
		x.warn("stopping a sliver; removing it all the same", "sliver", name, "err", err)
	}
	if err := x.host.Runtime.Remove(ctx, name); err != nil {
		return fmt.Errorf("removing the sandbox: %w", err)
	}
	if err := x.host.Guard.Detach(ctx, name); err != nil {
		return fmt.Errorf("detaching the guard: %w", err)
	}
	if err := x.host.Network.Remove(ctx, name); err != nil {
		return fmt.Errorf("removing the network: %w", err)
	}
	if err := ended(x.host.Audit, name, x.time.now()); err != nil {
		return fmt.Errorf("recording that the source ports are free: %w", err)
	}
	x.seen(sandbox.Status{Sliver: name, State: sandbox.Gone})
	return nil
}

func plumbing(sliver string, place int, l *lease.Lease) slivernet.Sliver {
	return slivernet.Sliver{Name: sliver, Place: place, Ports: l.Ports,
		Egress: l.RSet[lease.EgressRate], Ingress: l.RSet[lease.IngressRate]}
}

func (x *executor) tenure(e sandbox.Launch, l *lease.Lease, att slivernet.Attachment) audit.Tenure {
	return audit.Tenure{Sliver: e.Sliver, Slice: l.Slice + "@" + l.SliceOwner().String(), Place: e.Place,
		First: att.SourcePorts[0], Last: att.SourcePorts[1], Ports: l.Ports, From: x.time.now().UnixNano()}
}

func openLease(b []byte) (*lease.Lease, error) {
	o, err := lease.Open(b)
	if err != nil {
		return nil, fmt.Errorf("reading the lease: %w", err)
	}
	l, ok := o.Statement.(*lease.Lease)
	if !ok {
		return nil, fmt.Errorf("reading the lease: %w", lease.ErrKind)
	}
	return l, nil
}
