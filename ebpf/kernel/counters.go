// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// Counters implements [ebpf.Guard].
func (g *Guard) Counters(ctx context.Context, sliver string) (ebpf.Counters, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return ebpf.Counters{}, err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return ebpf.Counters{}, fmt.Errorf("counters of %s: %w", sliver, ebpf.ErrNotAttached)
	}
	now, l, err := g.inForce(p)
	if err != nil {
		return ebpf.Counters{}, explain("counters of "+sliver, err)
	}
	var counts [2]ebpf.Count
	var all ebpf.Counters
	for _, d := range directions {
		var m guardMeter
		if err := g.objects.Meters.Lookup(guardMeterKey{Tenure: p.tenure, Way: uint32(d)}, &m); err != nil {
			if errors.Is(err, cebpf.ErrKeyNotExist) {
				err = ebpf.ErrNotAttached // a crash came before its buckets
			}
			return ebpf.Counters{}, explain("counters of "+sliver, err)
		}
		if d == ebpf.Egress {
			a := ebpf.Allowance{Bytes: l.Day.Bytes, From: m.Purse.Day.From, Spent: m.Purse.Day.Spent, Deadline: l.Day.LastEnd}
			all.DailyLeft = a.Left(now)
		}
		packets := l.Ways[d].Packets
		b := ebpf.Bucket{Rate: packets.Rate, Full: packets.Full, Fill: packets.Fill, Keep: packets.Keep, Level: m.Purse.Packets.Level, Last: m.Purse.Packets.Last}
		all.PacketsLeft[d] = b.Left(uint64(now)) / ebpf.PacketUnits
		c := &counts[d]
		c.PassedPackets, c.PassedBytes = m.PassedPackets, m.PassedBytes
		copy(c.Dropped[:], m.Dropped[:])
		c.SeenPackets, c.SeenBytes = m.PassedPackets+c.DroppedPackets(), m.PassedBytes+m.DroppedBytes
	}
	all.Egress, all.Ingress = counts[ebpf.Egress], counts[ebpf.Ingress]
	return all, nil
}

// inForce is the time by the boot clock and what limits a port now.
func (g *Guard) inForce(p port) (now int64, l guardPortLimits, err error) {
	if now, err = g.now(); err != nil {
		return 0, l, err
	}
	if err = g.objects.Limits.Lookup(p.record.Ifindex, &l); errors.Is(err, cebpf.ErrKeyNotExist) {
		err = ebpf.ErrNotAttached // a crash came before its limits
	}
	return now, l, err
}
