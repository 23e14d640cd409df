// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// packet is what a packet costs in the kernel as the kernel times it. It runs
// the benchmark of package ebpf/kernel, which alone loads programs, several
// times over, so that its cases come in turns.
func (b *bench) packet(ctx context.Context) error {
	found, err := goBench(ctx, b.rounds(9, 3), "ebpf/kernel", "BenchmarkRootPacket", "5x", "ns/packet")
	if err != nil {
		return err
	}
	base := found["lookup"]
	if base == nil {
		return fmt.Errorf("the kernel package's benchmark has no lookup")
	}
	most := atMost(6)
	for _, c := range []struct {
		name, what string
		goal       *goal
	}{
		{"guard/egress/udp4", "guard, IPv4 UDP from a sliver", most},
		{"guard/egress/tcp4", "guard, IPv4 TCP from a sliver", most},
		{"guard/egress/udp6", "guard, IPv6 UDP from a sliver", most},
		{"guard/ingress/udp4", "guard, IPv4 UDP to a sliver", most},
		{"guard/dropped/deadline", "guard, dropped", nil},
		{"first/all", "guard, first packet of a flow in 8.6 s", nil},
	} {
		if s := found[c.name]; s != nil {
			b.add(against(c.what, "ns", s, "no-op with one look-up", base, c.goal, ""))
		}
	}
	// A check's own cost: the same packet with it and without, in turns.
	all := found["first/all"]
	for _, c := range []struct{ name, what string }{
		{"closed", "closed ranges"}, {"optout", "opt-out"}, {"flows", "new flows and fan-out"}, {"fanout", "fan-out"},
		{"allowance", "packets/s, day's bytes, bit/s"}, {"row", "flow record"},
	} {
		if s := found["first/without/"+c.name]; s != nil && all != nil {
			own := make(sample, len(s))
			for i := range own {
				own[i] = all[i] - s[i]
			}
			b.add(plain("guard, check: "+c.what, "ns", own, nil, ""))
		}
	}
	return nil
}
