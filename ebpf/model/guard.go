// SPDX-License-Identifier: Apache-2.0

package model

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"croft/ebpf"
)

// Config is what a daemon says of its node.
type Config struct {
	Opened, Closed []netip.Prefix
	Resolvers      []netip.Addr
	MaxFlows       int // rows of one epoch; 0: ebpf.MaxFlows
}

// Guard implements [ebpf.Guard] on a [Kernel].
type Guard struct{ k *Kernel }

var _ ebpf.Guard = (*Guard)(nil)

// Open adopts what k holds.
func Open(k *Kernel, cfg Config) (*Guard, error) {
	rules, err := ebpf.NewRules(cfg.Opened, cfg.Closed, cfg.Resolvers)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rules = rules
	if cfg.MaxFlows > 0 {
		k.most = min(cfg.MaxFlows, ebpf.MaxFlows)
	}
	return &Guard{k}, nil
}

// Attach implements [ebpf.Guard].
func (g *Guard) Attach(ctx context.Context, at ebpf.Port, l ebpf.Limits) error {
	if err := errors.Join(at.Check(), l.Check(), ctx.Err()); err != nil {
		return fmt.Errorf("attaching guard: %w", err)
	}
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if s := g.k.slivers[at.Sliver]; s != nil {
		if s.port.IfIndex == at.IfIndex && s.port.NetNS == at.NetNS && s.port.Place == at.Place {
			s.port = at
			s.set(l)
			return nil
		}
		g.k.forget(s)
	}
	s := &sliver{port: at, limits: l, opened: map[peer]uint64{}, heard: map[peer]uint64{}, remote: map[netip.Addr]uint64{}}
	for d := range ebpf.Ingress + 1 {
		s.ways[d] = &way{meter: ebpf.MeterOf(l, d, g.k.boot())}
	}
	g.k.slivers[at.Sliver], g.k.ports[at.IfIndex] = s, s
	return nil
}

func (s *sliver) set(l ebpf.Limits) {
	s.limits = l
	for d, w := range s.ways {
		w.meter.Set(l, ebpf.Direction(d))
	}
}

func (k *Kernel) forget(s *sliver) {
	delete(k.slivers, s.port.Sliver)
	if k.ports[s.port.IfIndex] == s {
		delete(k.ports, s.port.IfIndex)
	}
}

// find returns a sliver; the caller holds the lock.
func (g *Guard) find(ctx context.Context, doing, sliver string) (*sliver, error) {
	s := g.k.slivers[sliver]
	if s == nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("%s %s: %w", doing, sliver, ebpf.ErrNotAttached))
	}
	return s, ctx.Err()
}

// Update implements [ebpf.Guard].
func (g *Guard) Update(ctx context.Context, sliver string, l ebpf.Limits) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("updating guard: %w", err)
	}
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	s, err := g.find(ctx, "updating guard of", sliver)
	if err == nil {
		s.set(l)
	}
	return err
}

// Detach implements [ebpf.Guard].
func (g *Guard) Detach(ctx context.Context, sliver string) error {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if s := g.k.slivers[sliver]; s != nil {
		g.k.forget(s)
	}
	return ctx.Err()
}

// Counters implements [ebpf.Guard].
func (g *Guard) Counters(ctx context.Context, sliver string) (ebpf.Counters, error) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	s, err := g.find(ctx, "counters of", sliver)
	if err != nil {
		return ebpf.Counters{}, err
	}
	c := ebpf.Counters{Egress: s.ways[ebpf.Egress].count, Ingress: s.ways[ebpf.Ingress].count,
		DailyLeft: s.ways[ebpf.Egress].meter.Day.Left(g.k.boot())}
	for d, w := range s.ways {
		c.PacketsLeft[d] = w.meter.Packets.Left(uint64(g.k.boot())) / ebpf.PacketUnits
	}
	return c, nil
}

// Charge implements [ebpf.Guard].
func (g *Guard) Charge(ctx context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error {
	if err := ch.Check(); err != nil {
		return fmt.Errorf("charging %s: %w", sliver, err)
	}
	if d > ebpf.Ingress || bytes > ebpf.MaxBurst {
		return fmt.Errorf("charging %s: %s of %d bytes: %w", sliver, d, bytes, ebpf.ErrField)
	}
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	s, err := g.find(ctx, "charging", sliver)
	if err != nil {
		return err
	}
	now := g.k.boot()
	if now >= s.limits.Deadline {
		return fmt.Errorf("charging %s: %s: %w", sliver, ebpf.ReasonDeadline.Meaning(), ebpf.ErrNotAttached)
	}
	w := s.ways[d]
	p := Packet{Segments: (bytes + ebpf.ChargeUnit - 1) / ebpf.ChargeUnit, Bytes: bytes}
	if p.Segments*ebpf.PacketUnits > w.meter.Packets.Full || bytes*ebpf.ByteUnits > w.meter.Bytes.Full {
		return fmt.Errorf("charging %s: %d bytes are more than the lease passes at once: %w", sliver, bytes, ebpf.ErrField)
	}
	key := rowKey{sliver, s.port.Place, d, ebpf.ProtoNode, netip.AddrPortFrom(netip.Addr{}, uint16(ch)), netip.AddrPort{}}
	sparse := w.leaves.Sparse(key, s.limits.Way(d), uint64(now), p.Segments, bytes) // a channel is a flow as any other
	if wait := w.meter.ChargeOrWait(uint64(now), p.Segments, bytes, sparse); wait != nil {
		return wait
	}
	w.count.SeenPackets, w.count.SeenBytes = w.count.SeenPackets+p.Segments, w.count.SeenBytes+bytes
	w.count.PassedPackets, w.count.PassedBytes = w.count.PassedPackets+p.Segments, w.count.PassedBytes+bytes
	g.k.identity.Seen += p.Segments
	if !g.k.record(key, now, p) {
		g.k.identity.Unrecorded += p.Segments
	}
	return nil
}

// SetOptOut implements [ebpf.Guard].
func (g *Guard) SetOptOut(ctx context.Context, addrs []netip.Addr) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	set := map[netip.Addr]bool{}
	for _, a := range addrs {
		if !a.IsValid() {
			return fmt.Errorf("opting out address %s: %w", a, ebpf.ErrField)
		}
		set[a.Unmap()] = true
	}
	if len(set) > ebpf.MaxOptOut {
		return fmt.Errorf("%d addresses that opted out, limit %d: %w", len(set), ebpf.MaxOptOut, ebpf.ErrField)
	}
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.k.optout = set
	return nil
}

// Drain implements [ebpf.Guard]. keep must not call the guard.
func (g *Guard) Drain(ctx context.Context, keep func(ebpf.Epoch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	early, err := g.k.handOver(keep)
	if err != nil {
		return err
	}
	g.k.swap()
	late, err := g.k.handOver(keep)
	return errors.Join(err, early, late)
}

func (k *Kernel) handOver(keep func(ebpf.Epoch) error) (breach, err error) {
	if k.pending == nil {
		return nil, nil
	}
	breach = k.pending.Identity.Check()
	if err := keep(*k.pending); err != nil {
		return nil, fmt.Errorf("draining epoch %d: keeping: %w", k.pending.Number, err)
	}
	k.pending = nil
	return breach, nil
}

// swap closes the running epoch, if anything was seen in it, and forgets flows that
// are idle.
func (k *Kernel) swap() {
	defer k.forgetIdle()
	if k.identity.IsZero() && len(k.rows) == 0 {
		return
	}
	e := &ebpf.Epoch{Series: k.series, Number: k.number, At: k.wall(), Identity: k.identity}
	for _, row := range k.rows {
		row.First, row.Last = row.First+e.At-k.boot(), row.Last+e.At-k.boot()
		e.Flows = append(e.Flows, *row)
		e.Identity.Recorded += row.Packets
	}
	slices.SortFunc(e.Flows, ebpf.Flow.Compare)
	k.pending, k.number = e, k.number+1
	k.rows, k.identity = map[rowKey]*ebpf.Flow{}, ebpf.Identity{}
}

func (k *Kernel) forgetIdle() {
	tick := uint64(k.boot()) >> tickShift
	for _, s := range k.slivers {
		for _, known := range []map[peer]uint64{s.opened, s.heard} {
			for flow, last := range known {
				if tick-last > idleTicks {
					delete(known, flow)
				}
			}
		}
	}
}

// Slivers returns the names of those that are attached, sorted.
func (g *Guard) Slivers() []string {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	names := make([]string, 0, len(g.k.slivers))
	for name := range g.k.slivers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
