// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// Attach implements [ebpf.Guard]. The order is: who it is, buckets, limits,
// links. A crash after any of them leaves the port closed or in force, and the
// sliver listed, so that a second Attach or a Detach finishes.
func (g *Guard) Attach(ctx context.Context, at ebpf.Port, l ebpf.Limits) error {
	if err := errors.Join(at.Check(), l.Check()); err != nil {
		return fmt.Errorf("attaching guard: %w", err)
	}
	record := guardTenure{Place: uint32(at.Place), Ifindex: uint32(at.IfIndex)}
	if len(at.NetNS) > len(record.Netns) {
		return fmt.Errorf("attaching guard: namespace path of %d bytes, limit %d: %w", len(at.NetNS), len(record.Netns), ebpf.ErrField)
	}
	copy(record.Sliver[:], at.Sliver)
	copy(record.Netns[:], at.NetNS)

	g.hooks.Lock()
	defer g.hooks.Unlock()
	p, ok, err := g.port(ctx, at.Sliver)
	if err != nil {
		return err
	}
	if ok && p.record != record {
		if err := g.detach(at.Sliver, p); err != nil {
			return explain("moving guard of "+at.Sliver, err)
		}
	}
	return explain("attaching guard of "+at.Sliver, g.attach(at, l, record))
}

// port returns what is known of a sliver.
func (g *Guard) port(ctx context.Context, sliver string) (p port, ok bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok = g.ports[sliver]
	return p, ok, g.ready(ctx)
}

// attach has the state written at once, and does not hold up others' charges and
// counters while the kernel puts the links in, some 10 ms each: it does one at a
// time, and waits for packets under way.
func (g *Guard) attach(at ebpf.Port, l ebpf.Limits, record guardTenure) error {
	g.mu.Lock()
	err := g.putState(at, l, record)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	for _, d := range directions {
		if err := g.fault("hook " + d.String()); err != nil {
			return err
		}
		if err := g.hook(at, d); err != nil {
			return err
		}
	}
	return nil
}

// Update implements [ebpf.Guard].
func (g *Guard) Update(ctx context.Context, sliver string, l ebpf.Limits) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("updating guard: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return fmt.Errorf("updating guard of %s: %w", sliver, ebpf.ErrNotAttached)
	}
	var old guardPortLimits
	if err := g.objects.Limits.Lookup(p.record.Ifindex, &old); err != nil {
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			err = ebpf.ErrNotAttached // a crash came before its first limits
		}
		return explain("updating guard of "+sliver, err)
	}
	if old.Tenure != p.tenure {
		return fmt.Errorf("updating guard of %s: its port is another's now: %w", sliver, ebpf.ErrNotAttached)
	}
	value, err := g.compile(p.tenure, l)
	if err != nil {
		return explain("updating guard of "+sliver, err)
	}
	value.Class, value.Ifb, value.Pages = old.Class, old.Ifb, max(value.Pages, old.Pages)
	return explain("updating guard of "+sliver, g.putLimits(p.record.Ifindex, value))
}

// Detach implements [ebpf.Guard].
func (g *Guard) Detach(ctx context.Context, sliver string) error {
	g.hooks.Lock()
	defer g.hooks.Unlock()
	p, ok, err := g.port(ctx, sliver)
	if err != nil || !ok {
		return err
	}
	return explain("detaching guard of "+sliver, g.detach(sliver, p))
}

// detach closes the port, takes it down, and only then takes the links away.
// The sliver stays listed until all is done.
func (g *Guard) detach(sliver string, p port) error {
	if err := g.fault("close"); err != nil {
		return err
	}
	if err := g.closePort(p); err != nil {
		return err
	}
	for _, d := range directions {
		if err := g.fault("unhook " + d.String()); err != nil {
			return err
		}
		if err := g.unhook(sliver, d, p.record); err != nil {
			return err
		}
	}
	if err := g.fault("state"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.dropState(p); err != nil {
		return err
	}
	if err := g.fault("gone"); err != nil {
		return err
	}
	// Rows of the live epoch still carry this tenure.
	var err error
	if p.record.Gone, err = g.control(controlEpoch); err != nil {
		return err
	}
	if err := g.objects.Tenures.Put(p.tenure, p.record); err != nil {
		return err
	}
	delete(g.ports, sliver)
	return nil
}

// closePort takes a tenure's limits away: what has none passes nothing.
func (g *Guard) closePort(p port) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var l guardPortLimits
	err := g.objects.Limits.Lookup(p.record.Ifindex, &l)
	if err == nil && l.Tenure == p.tenure {
		err = g.objects.Limits.Delete(p.record.Ifindex)
	}
	if errors.Is(err, cebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Slivers returns the names of those that are attached, sorted.
func (g *Guard) Slivers() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.ports))
	for name := range g.ports {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (g *Guard) ready(ctx context.Context) error {
	if g.objects == nil {
		return ErrClosed
	}
	return ctx.Err()
}
