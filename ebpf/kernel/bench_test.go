// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"testing"
	"time"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// What a packet costs in the kernel, as the kernel times it: nothing, one
// look-up (the least that a program for all slivers does), the guard.
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
	for _, c := range []struct {
		name    string
		program *cebpf.Program
		packet  frame
	}{
		{"nothing", o.Nothing, out4},
		{"lookup", o.Lookup, out4},
		{"guard/egress/udp4", g.objects.Egress, out4},
		{"guard/egress/tcp4", g.objects.Egress, tcp(1, 2, 16, 10).ip4(sliver4, remote4, 6).out()},
		{"guard/egress/udp6", g.objects.Egress, udp(5000, 6000, 22).ip6(sliver6, remote6, 17).out()},
		{"guard/ingress/udp4", g.objects.Ingress, udp(5000, 6000, 22).ip4(remote4, sliver4, 17).in()},
		{"guard/dropped/deadline", over.objects.Egress, out4},
		{"guard/dropped/closed", g.objects.Egress, udp(1, 2, 22).ip4(sliver4, sliver4, 17).out()},
	} {
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
