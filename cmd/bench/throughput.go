// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"croft/ebpf"
	"croft/ebpf/kernel"
	"croft/lease"
)

// Two cables of the same make; only one has a guard.
const (
	bareNet    = "198.18.250.0/30"
	guardedNet = "198.18.251.0/30"
)

// emptied takes the rows of flows out of the guard's table, as a daemon does every
// few seconds: one that is full lets no new flow begin.
func emptied(ctx context.Context, g *kernel.Guard) error {
	return g.Drain(ctx, func(ebpf.Epoch) error { return nil })
}

// throughput compares a veth with a guard at its host end, under a lease that
// no packet here exhausts and no shaper holds, with a bare one.
func (b *bench) throughput(ctx context.Context) (err error) {
	bare, err := newCable(bareNet)
	if err != nil {
		return err
	}
	defer bare.close()
	tag := randomTag()
	guard, err := kernel.Open(kernel.Config{Tag: tag, Opened: []netip.Prefix{netip.MustParsePrefix(guardedNet)}})
	if err != nil {
		return err
	}
	guarded, err := newCable(guardedNet)
	if err != nil {
		guard.Close()
		return err
	}
	defer func() {
		guarded.close()
		guard.Close()
		if gone := kernel.Destroy("", tag); err == nil {
			err = gone
		}
	}()
	var set lease.RSet
	set[lease.EgressRate], set[lease.IngressRate] = ebpf.MaxRate, ebpf.MaxRate
	set[lease.EgressPackets], set[lease.IngressPackets] = ebpf.MaxPacketRate, ebpf.MaxPacketRate
	limits := ebpf.Compile(&lease.Lease{RSet: set}, ebpf.Addresses{Source4: guarded.addrA, MAC: guarded.macA},
		ebpf.Conditions{Deadline: bootClock() + int64(time.Hour)})
	if err := guard.Attach(ctx, ebpf.Port{Sliver: "bench", NetNS: guarded.b.path(), IfIndex: guarded.indexB}, limits); err != nil {
		return err
	}
	for _, c := range []struct {
		what, unit string
		scale      float64
		flood      flood
		towards    bool // the sliver
		more       func(us, them sample) string
	}{
		{"UDP 64 B from a sliver, guarded", "kpps", 1e3, udp(64, 1), false, added},
		{"UDP 64 B to a sliver, guarded", "kpps", 1e3, udp(64, 1), true, added},
		{"UDP 64 B from a sliver, 128 flows, guarded", "kpps", 1e3, udp(64, 128), false, added},
		{"UDP 64 B to a sliver, 128 flows, guarded", "kpps", 1e3, udp(64, 128), true, added},
		{"UDP 1,400 B from a sliver, guarded", "kpps", 1e3, udp(1400, 1), false, added},
		{"UDP 1,400 B to a sliver, guarded", "kpps", 1e3, udp(1400, 1), true, added},
		{"TCP from a sliver, guarded", "Gbit/s", 1e9, tcp(1), false, nothing},
		{"TCP to a sliver, guarded", "Gbit/s", 1e9, tcp(1), true, nothing},
		{"TCP from a sliver, 128 flows, guarded", "Gbit/s", 1e9, tcp(128), false, nothing},
		{"TCP to a sliver, 128 flows, guarded", "Gbit/s", 1e9, tcp(128), true, nothing},
	} {
		one := func(to, wall *sample, cable cable) error {
			from, sink, source, at := cable.a, cable.b, cable.addrA, cable.addrB
			if c.towards {
				from, sink, source, at = sink, from, at, source
			}
			v, err := c.flood(ctx, from, sink, source, at, time.Duration(b.rounds(400, 200))*time.Millisecond)
			*to, *wall = append(*to, v.busy/c.scale), append(*wall, v.wall/c.scale)
			return err
		}
		var us, them, usWall, themWall sample
		for i := range b.rounds(25, 7) + 1 {
			first, second := func() error { return one(&them, &themWall, bare) }, func() error {
				return errors.Join(one(&us, &usWall, guarded), emptied(ctx, guard))
			}
			if i%2 == 1 {
				first, second = second, first
			}
			for _, f := range []func() error{first, second} {
				if err := f(); err != nil {
					return fmt.Errorf("%s: %w", c.what, err)
				}
			}
			if i == 0 {
				us, them, usWall, themWall = nil, nil, nil, nil
			}
		}
		b.add(against(c.what, c.unit, us, "bare veth", them, atLeast(0.95), fmt.Sprintf(
			"a second of the busier thread's processor time; by the clock %s against %s, ratio %.3g%s",
			number(usWall.median()), number(themWall.median()), usWall.over(themWall).median(), c.more(us, them))))
	}
	seen, err := guard.Counters(ctx, "bench")
	if err != nil {
		return err
	}
	if seen.Egress.PassedPackets == 0 || seen.Ingress.PassedPackets == 0 {
		return fmt.Errorf("the guard was not on the path: %+v", seen)
	}
	for r := range ebpf.NumReasons {
		if n := seen.Egress.Dropped[r] + seen.Ingress.Dropped[r]; n > 0 {
			b.found[len(b.found)-1].Note += fmt.Sprintf("; over all rounds the guard dropped %d packets: %s", n, ebpf.Reason(r).Meaning())
		}
	}
	return nil
}

// added says what the guard costs a packet beside what the stack does, from
// rates in kpps.
func added(us, them sample) string {
	bare := 1e6 / them.median()
	return fmt.Sprintf("; a packet takes %s ns bare, and the guard adds %s", number(bare), number(1e6/us.median()-bare))
}

func nothing(sample, sample) string { return "" }
