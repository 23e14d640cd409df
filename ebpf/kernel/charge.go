// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// Charge implements [ebpf.Guard].
func (g *Guard) Charge(ctx context.Context, sliver string, d ebpf.Direction, ch ebpf.Channel, bytes uint64) error {
	if err := ch.Check(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return fmt.Errorf("charging %s: %w", sliver, ebpf.ErrNotAttached)
	}
	var l guardPortLimits
	if err := g.objects.Limits.Lookup(p.record.Ifindex, &l); err != nil {
		return explain("charging "+sliver, err)
	}
	var m guardMeter
	key := guardMeterKey{Tenure: p.tenure, Way: uint32(d)}
	if err := g.objects.Meters.LookupWithFlags(key, &m, cebpf.LookupLock); err != nil {
		return explain("charging "+sliver, err)
	}
	_, boot, err := clocks()
	if err != nil {
		return err
	}
	w := l.Ways[d]
	meter := ebpf.Meter{
		Packets: ebpf.Bucket{Rate: w.Packets.Rate, Full: w.Packets.Full, Fill: w.Packets.Fill, Level: m.Packets.Level, Last: m.Packets.Last},
		Bytes:   ebpf.Bucket{Rate: w.Bytes.Rate, Full: w.Bytes.Full, Fill: w.Bytes.Fill, Level: m.Bytes.Level, Last: m.Bytes.Last},
	}
	packets := (bytes + ebpf.ChargeUnit - 1) / ebpf.ChargeUnit
	if reason := meter.Charge(uint64(boot), packets, bytes); reason != ebpf.ReasonNone {
		return &ebpf.Wait{For: 10 * time.Millisecond, Reason: reason}
	}
	m.Packets.Level, m.Packets.Last, m.Bytes.Level, m.Bytes.Last = meter.Packets.Level, meter.Packets.Last, meter.Bytes.Level, meter.Bytes.Last
	m.PassedPackets, m.PassedBytes = m.PassedPackets+packets, m.PassedBytes+bytes
	return explain("charging "+sliver, g.objects.Meters.Update(key, m, cebpf.UpdateLock|cebpf.UpdateExist))
}

// SetOptOut implements [ebpf.Guard].
func (g *Guard) SetOptOut(ctx context.Context, addrs []netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	if len(addrs) > ebpf.MaxOptOut {
		return fmt.Errorf("%d addresses that opted out, limit %d: %w", len(addrs), ebpf.MaxOptOut, ebpf.ErrField)
	}
	return nil
}
