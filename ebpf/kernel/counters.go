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
	var counts [2]ebpf.Count
	var left uint64
	var err error
	for _, d := range directions {
		var m guardMeter
		if err := g.objects.Meters.Lookup(guardMeterKey{Tenure: p.tenure, Way: uint32(d)}, &m); err != nil {
			if errors.Is(err, cebpf.ErrKeyNotExist) {
				err = ebpf.ErrNotAttached // a crash came before its buckets
			}
			return ebpf.Counters{}, explain("counters of "+sliver, err)
		}
		if d == ebpf.Egress {
			if left, err = g.dailyLeft(p, m); err != nil {
				return ebpf.Counters{}, explain("counters of "+sliver, err)
			}
		}
		c := &counts[d]
		c.PassedPackets, c.PassedBytes = m.PassedPackets, m.PassedBytes
		copy(c.Dropped[:], m.Dropped[:])
		c.SeenPackets, c.SeenBytes = m.PassedPackets+c.DroppedPackets(), m.PassedBytes+m.DroppedBytes
	}
	return ebpf.Counters{Egress: counts[ebpf.Egress], Ingress: counts[ebpf.Ingress], DailyLeft: left}, nil
}

// dailyLeft is what a meter has left of the day that it is.
func (g *Guard) dailyLeft(p port, m guardMeter) (uint64, error) {
	now, err := g.now()
	if err != nil {
		return 0, err
	}
	var l guardPortLimits
	if err := g.objects.Limits.Lookup(p.record.Ifindex, &l); err != nil {
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			err = ebpf.ErrNotAttached // a crash came before its limits
		}
		return 0, err
	}
	a := ebpf.Allowance{Bytes: l.Day.Bytes, From: m.Purse.Day.From, Spent: m.Purse.Day.Spent, Deadline: l.Day.LastEnd}
	return a.Left(now), nil
}
