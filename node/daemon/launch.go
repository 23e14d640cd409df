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
	l, err := inForce(e.Statement, e.Share)
	if err != nil {
		return err
	}
	var program sandbox.Program
	if err := json.Unmarshal(e.Program, &program); err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	deadline := x.time.deadline(l.Until)
	att, err := x.enclose(ctx, e, l)
	if x.finished(e.Sliver) {
		if err != nil {
			x.warn("output of a sliver that has ended cannot be charged to its lease, nor read", "sliver", e.Sliver, "err", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := x.tenures.holds(tenure(e.Sliver, e.Place, l, att.SourcePorts)); err != nil {
		return fmt.Errorf("recording who holds the source ports: %w", err)
	}
	if err := x.host.Network.Up(ctx, e.Sliver); err != nil {
		return fmt.Errorf("raising the link: %w", err)
	}
	x.bind(e.Sliver, att)
	door, err := x.doors.begin(e.Sliver, e.Place, l)
	if err != nil {
		return err
	}
	if err := x.packets.begin(e.Sliver); err != nil {
		return err
	}
	err = x.host.Runtime.Start(ctx, sandbox.Spec{
		Sliver: e.Sliver, Slice: l.Slice + "@" + l.SliceOwner().Short(), Hostname: l.Slice, Place: e.Place,
		Program: program, RSet: l.RSet, NetNS: att.NetNS, Resolver: slivernet.Resolver, Deadline: deadline, Door: door,
	})
	if err != nil {
		return fmt.Errorf("starting the program: %w", err)
	}
	if l.Sliver.IsZero() && e.Share.IsZero() {
		return nil
	}
	// A crash may have come between a renewal, or a change of the share, and its
	// adjustment: what runs was started under what held before.
	if err := x.host.Runtime.Extend(ctx, e.Sliver, l.RSet, deadline); err != nil && !gone(err) {
		return fmt.Errorf("putting the renewed lease in force: %w", err)
	}
	return nil
}

// plumb makes a sliver's network, or changes it, when it is on record whose the
// ports are by which packets may pass from then on. What it has no more it still
// holds in the record, until all is in force.
func (x *executor) plumb(ctx context.Context, sliver string, place int, l *lease.Lease) (slivernet.Attachment, error) {
	s := plumbing(sliver, place, l)
	if err := x.tenures.opens(tenure(sliver, place, l, x.host.Network.SourcePorts(s))); err != nil {
		return slivernet.Attachment{}, fmt.Errorf("recording which source ports it will hold: %w", err)
	}
	return x.host.Network.Add(ctx, s)
}

// enclose makes a sliver's network, with its link down unless it was up, and puts
// its limits on it. Those hold for what the node moves for it as well.
func (x *executor) enclose(ctx context.Context, e sandbox.Launch, l *lease.Lease) (slivernet.Attachment, error) {
	att, err := x.plumb(ctx, e.Sliver, e.Place, l)
	if err != nil {
		return att, fmt.Errorf("making the network: %w", err)
	}
	if err := x.host.Guard.Attach(ctx, att.Guard, ebpf.Compile(l, att.Addresses, x.conditions(l))); err != nil {
		return att, fmt.Errorf("attaching the guard: %w", err)
	}
	return att, nil
}

// adjust puts other limits in force: the deadline first, which must not pass
// while the rest is on its way. What one of those who hold limits refuses keeps
// none of the others from its part. A program that has ended by itself has none.
func (x *executor) adjust(ctx context.Context, e sandbox.Adjust) error {
	l, err := inForce(e.Statement, e.Share)
	if err != nil {
		return err
	}
	err = x.host.Runtime.Extend(ctx, e.Sliver, l.RSet, x.time.deadline(l.Until))
	if gone(err) {
		err = nil
	}
	return errors.Join(err, x.reshape(ctx, e, l))
}

// reshape has the shaper and the guard hold a lease's limits, while packets pass.
// A way that had no shaper may have got one, of which the guard learns when it is
// attached to its port again.
func (x *executor) reshape(ctx context.Context, e sandbox.Adjust, l *lease.Lease) error {
	att, err := x.plumb(ctx, e.Sliver, e.Place, l)
	if err != nil {
		return err
	}
	limits := ebpf.Compile(l, att.Addresses, x.conditions(l))
	switch err := x.host.Guard.Update(ctx, e.Sliver, limits); {
	case errors.Is(err, ebpf.ErrNotAttached):
		return nil // its launch has yet to come, or found that the program had ended
	case err != nil:
		return err
	}
	if err := x.host.Guard.Attach(ctx, att.Guard, limits); err != nil {
		return err
	}
	if err := x.tenures.holds(tenure(e.Sliver, e.Place, l, att.SourcePorts)); err != nil {
		return fmt.Errorf("recording which source ports it holds now: %w", err)
	}
	return nil
}

// conditions are what this node adds to a lease's limits.
func (x *executor) conditions(l *lease.Lease) ebpf.Conditions {
	return ebpf.Conditions{Deadline: x.time.deadline(l.Until), DayFrom: x.time.deadline(l.From),
		FlowsNew: uint64(x.bounds.FlowsNew), FanOut: uint64(x.bounds.FanOut), Rows: min(ebpf.DefaultRows, ebpf.MaxFlows/4/uint64(max(x.bounds.Places, 1)))}
}

// inForce reads the signed lease and lays over it what of it is given now.
func inForce(statement []byte, share lease.RSet) (*lease.Lease, error) {
	l, err := openLease(statement)
	if err != nil || share.IsZero() {
		return l, err
	}
	l.RSet = share
	l.BurstOut = min(l.BurstOut, lease.Burst(share[lease.EgressRate]))
	l.BurstIn = min(l.BurstIn, lease.Burst(share[lease.IngressRate]))
	return l, nil
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
	x.packets.end(name)
	if err := x.doors.end(name); err != nil {
		return err
	}
	if err := x.host.Guard.Detach(ctx, name); err != nil {
		return fmt.Errorf("detaching the guard: %w", err)
	}
	if err := x.host.Network.Remove(ctx, name); err != nil {
		return fmt.Errorf("removing the network: %w", err)
	}
	if err := x.tenures.ended(name); err != nil {
		return fmt.Errorf("recording that the source ports are free: %w", err)
	}
	x.seen(sandbox.Status{Sliver: name, State: sandbox.Gone})
	return nil
}

func plumbing(sliver string, place int, l *lease.Lease) slivernet.Sliver {
	return slivernet.Sliver{Name: sliver, Place: place, Ports: l.Ports,
		Egress: l.RSet[lease.EgressRate], Ingress: l.RSet[lease.IngressRate], Live: l.RSet[lease.FlowsLive], Out: l.RSet[lease.PortsOut]}
}

func tenure(sliver string, place int, l *lease.Lease, out [2]uint16) audit.Tenure {
	return audit.Tenure{Sliver: sliver, Slice: l.Slice + "@" + l.SliceOwner().String(), Place: place,
		First: out[0], Last: out[1], Ports: l.Ports}
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
