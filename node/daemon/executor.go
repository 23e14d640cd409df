// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node"
	"croft/sandbox"
)

const (
	stopGrace    = 500 * time.Millisecond // between TERM and KILL; the whole end takes at most 2 s
	launchLimit  = 60 * time.Second
	teardownWait = time.Second // before a failed teardown is tried again
)

// executor carries out what the lifecycle decides: one goroutine a sliver, in
// order. What it does is idempotent, because after a crash it is told again.
type executor struct {
	host   *Hosting
	time   *ledgerTime
	warn   func(msg string, args ...any)
	submit func(context.Context, node.Input) error
	bind   func(sliver string, att slivernet.Attachment)

	mu     sync.Mutex
	queues map[string]chan node.Effect
	ctx    context.Context
	wg     sync.WaitGroup
}

// queueLength bounds what one sliver may have waiting: launch, a few renewals,
// teardown. The lifecycle never asks for more.
const queueLength = 64

func (x *executor) enqueue(e node.Effect) {
	var name string
	switch e := e.(type) {
	case sandbox.Launch:
		name = e.Sliver
	case sandbox.Adjust:
		name = e.Sliver
	case sandbox.Teardown:
		name = e.Sliver
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	q := x.queues[name]
	if q == nil {
		q = make(chan node.Effect, queueLength)
		x.queues[name] = q
		x.wg.Go(func() { x.work(name, q) })
	}
	select {
	case q <- e:
	default:
		x.warn("too many changes of one sliver at once; this one is lost until the next start", "sliver", name, "effect", e)
	}
}

// work runs one sliver's effects until its teardown is done or the daemon goes.
func (x *executor) work(name string, q chan node.Effect) {
	for {
		select {
		case <-x.ctx.Done():
			return
		case e := <-q:
			in := x.do(e)
			if in == nil {
				continue
			}
			if _, last := in.(sandbox.Removed); last {
				x.mu.Lock()
				delete(x.queues, name)
				x.mu.Unlock()
			}
			if x.submit(x.ctx, in) != nil {
				return // the daemon goes; the next one is told again
			}
			if _, last := in.(sandbox.Removed); last {
				return
			}
		}
	}
}

// do carries one effect out and returns what the lifecycle is to be told.
func (x *executor) do(e node.Effect) node.Input {
	switch e := e.(type) {
	case sandbox.Launch:
		ctx, cancel := context.WithTimeout(x.ctx, launchLimit)
		defer cancel()
		if err := x.launch(ctx, e); err != nil {
			return sandbox.LaunchFailed{Sliver: e.Sliver, Reason: err.Error()}
		}
		return sandbox.Launched{Sliver: e.Sliver}
	case sandbox.Adjust:
		if err := x.adjust(x.ctx, e); err != nil {
			x.warn("limits of a renewed lease are not in force yet", "sliver", e.Sliver, "err", err)
		}
	case sandbox.Teardown:
		if x.teardown(e) {
			return sandbox.Removed{Sliver: e.Sliver}
		}
	}
	return nil
}

// launch makes a sliver run: the network first, still down; then its limits;
// only then is the link raised and the program started. So no packet is ever
// without limits.
func (x *executor) launch(ctx context.Context, e sandbox.Launch) error {
	l, err := openLease(e.Statement)
	if err != nil {
		return err
	}
	var program sandbox.Program
	if err := json.Unmarshal(e.Program, &program); err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	deadline := x.time.deadline(l.Until)
	att, err := x.host.Network.Add(ctx, slivernet.Sliver{Name: e.Sliver, Place: e.Place,
		Egress: l.RSet[lease.EgressRate], Ingress: l.RSet[lease.IngressRate], Ports: l.Ports})
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
		Sliver: e.Sliver, Slice: l.Slice + "@" + l.Holder.Short(), Hostname: l.Slice, Place: e.Place,
		Program: program, RSet: l.RSet, NetNS: att.NetNS, Resolver: slivernet.Resolver, Deadline: deadline,
	})
	if err != nil {
		return fmt.Errorf("starting the program: %w", err)
	}
	return nil
}

// adjust puts another lease's limits in force: the deadline first, which must
// not pass while the rest is on its way.
func (x *executor) adjust(ctx context.Context, e sandbox.Adjust) error {
	l, err := openLease(e.Statement)
	if err != nil {
		return err
	}
	deadline := x.time.deadline(l.Until)
	att, err := x.host.Network.Add(ctx, slivernet.Sliver{Name: e.Sliver, Place: e.Place,
		Egress: l.RSet[lease.EgressRate], Ingress: l.RSet[lease.IngressRate], Ports: l.Ports})
	return errors.Join(err,
		x.host.Runtime.Extend(ctx, e.Sliver, l.RSet, deadline),
		x.host.Guard.Update(ctx, e.Sliver, ebpf.Compile(l, att.Addresses, deadline)),
		x.host.Network.SetRates(ctx, e.Sliver, l.RSet[lease.EgressRate], l.RSet[lease.IngressRate]))
}

// teardown ends a sliver and removes all of it, trying again until nothing is
// left. It reports whether it got there before the daemon went.
func (x *executor) teardown(e sandbox.Teardown) bool {
	for {
		err := x.remove(e.Sliver)
		if err == nil {
			return true
		}
		x.warn("a sliver is not gone yet", "sliver", e.Sliver, "err", err)
		select {
		case <-x.ctx.Done():
			return false
		case <-time.After(teardownWait):
		}
	}
}

// remove goes from the program outwards: what has no process sends no packet,
// what has no link needs no guard.
func (x *executor) remove(name string) error {
	ctx, cancel := context.WithTimeout(x.ctx, launchLimit)
	defer cancel()
	if err := x.host.Runtime.Stop(ctx, name, stopGrace); err != nil && !errors.Is(err, sandbox.ErrUnknown) {
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
	return nil
}

func (x *executor) tenure(e sandbox.Launch, l *lease.Lease, att slivernet.Attachment) audit.Tenure {
	return audit.Tenure{Sliver: e.Sliver, Slice: l.Slice + "@" + l.Holder.String(), Place: e.Place,
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
