// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"net/netip"
	"testing"
	"time"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// checks are what a load can leave out (bpf/guard.bpf.c).
var checks = []struct {
	name string
	bit  uint32
}{{"closed", 1}, {"optout", 2}, {"flows", 4 | 8}, {"fanout", 8}, {"allowance", 16}, {"row", 32}}

const withoutSeal = 64

// What a packet costs in the kernel, as the kernel times it: nothing, one
// look-up (the least that a program for all slivers does), the guard. "first" is
// a packet for which everything is asked, as for the first of a flow in a tick,
// and "first/without" is the same without one check: the difference is what that
// check costs.
func BenchmarkRootPacket(b *testing.B) {
	needRoot(b)
	var o struct {
		Nothing *cebpf.Program `ebpf:"test_nothing"`
		Lookup  *cebpf.Program `ebpf:"test_lookup"`
	}
	if err := loadTestingObjects(&o, nil); err != nil {
		b.Fatal(err)
	}
	defer o.Nothing.Close()
	defer o.Lookup.Close()
	g := newBench(b, Config{}, ebpf.Port{}, testLimits())
	l := testLimits()
	l.Deadline = 1
	over := newBench(b, Config{}, ebpf.Port{}, l)
	out4 := udp(5000, 6000, 22).ip4(sliver4, remote4, 17).out()
	type row = struct {
		name    string
		program *cebpf.Program
		packet  frame
	}
	rows := []row{
		{"nothing", o.Nothing, out4},
		{"lookup", o.Lookup, out4},
		{"guard/egress/udp4", g.objects.Egress, out4},
		{"guard/egress/tcp4", g.objects.Egress, tcp(1, 2, 16, 10).ip4(sliver4, remote4, 6).out()},
		{"guard/egress/udp6", g.objects.Egress, udp(5000, 6000, 22).ip6(sliver6, remote6, 17).out()},
		{"guard/ingress/udp4", g.objects.Ingress, udp(5000, 6000, 22).ip4(remote4, sliver4, 17).in()},
		{"guard/dropped/deadline", over.objects.Egress, out4},
		{"guard/dropped/closed", g.objects.Egress, udp(1, 2, 22).ip4(sliver4, sliver4, 17).out()},
	}
	all := testLimits()
	all.FlowsNew, all.FanOut, all.Daily = 1<<30, 256, 1<<50
	asked := func(without uint32) *cebpf.Program {
		g := newBench(b, Config{without: without | withoutSeal}, ebpf.Port{}, all)
		if err := g.SetOptOut(b.Context(), []netip.Addr{remote6}); err != nil {
			b.Fatal(err)
		}
		return g.objects.Egress
	}
	rows = append(rows, row{"first/all", asked(0), out4})
	for _, c := range checks {
		rows = append(rows, row{"first/without/" + c.name, asked(c.bit), out4})
	}
	for _, c := range rows {
		b.Run(c.name, func(b *testing.B) {
			const repeat = 100_000
			var total time.Duration
			runs := 0
			for b.Loop() {
				_, d, err := c.program.Benchmark(c.packet, repeat, func() {})
				if err != nil {
					b.Fatal(err)
				}
				total += d
				runs++
			}
			b.ReportMetric(float64(total.Nanoseconds())/float64(runs), "ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkRootOptOuts: a full set put into force, from a sorted list to the table
// that the guard looks into.
func BenchmarkRootOptOuts(b *testing.B) {
	g := newBench(b, Config{}, ebpf.Port{}, testLimits())
	addrs := make([]netip.Addr, ebpf.MaxOptOut)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{198, 41 + byte(i>>16), byte(i >> 8), byte(i)})
	}
	for b.Loop() {
		if err := g.SetOptOut(b.Context(), addrs); err != nil {
			b.Fatal(err)
		}
	}
}
