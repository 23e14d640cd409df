// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net/netip"
	"time"

	"croft/ebpf"
)

type guardModel struct{ l *life }

func (g guardModel) Attach(_ context.Context, at ebpf.Port, limits ebpf.Limits) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if err := g.l.does("guard attach %s", at.Sliver); err != nil {
		return err
	}
	g.l.guards[at.Sliver] = limits
	return nil
}

func (g guardModel) Update(_ context.Context, sliver string, limits ebpf.Limits) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if err := g.l.does("guard update %s", sliver); err != nil {
		return err
	}
	if _, ok := g.l.guards[sliver]; !ok {
		return ebpf.ErrNotAttached
	}
	g.l.guards[sliver] = limits
	return nil
}

func (g guardModel) Detach(_ context.Context, sliver string) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if err := g.l.does("guard detach %s", sliver); err != nil {
		return err
	}
	delete(g.l.guards, sliver)
	return nil
}

func (g guardModel) Counters(_ context.Context, sliver string) (c ebpf.Counters, err error) {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	if _, ok := g.l.guards[sliver]; !ok {
		return c, ebpf.ErrNotAttached
	}
	return c, nil
}

func (g guardModel) Charge(_ context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	limits, ok := g.l.guards[sliver]
	if !ok {
		return ebpf.ErrNotAttached
	}
	key := sliver + " " + d.String()
	if g.l.meters[key] == nil {
		m := ebpf.MeterOf(limits, d, g.l.Boot())
		g.l.meters[key] = &m
	}
	m := g.l.meters[key]
	if bytes*ebpf.ByteUnits > m.Bytes.Full {
		return ebpf.ErrField
	}
	if why := m.Charge(uint64(g.l.Boot()), (bytes+ebpf.ChargeUnit-1)/ebpf.ChargeUnit, bytes, false); why != ebpf.ReasonNone {
		return &ebpf.Wait{For: 10 * time.Millisecond, Reason: why}
	}
	g.l.charged[sliver+" "+ch.String()+" "+d.String()] += bytes
	return ch.Check()
}

func (g guardModel) SetOptOut(context.Context, []netip.Addr) error { return nil }

func (g guardModel) Drain(context.Context, func(ebpf.Epoch) error) error { return nil }
