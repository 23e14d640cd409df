// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// leafBench is a guard whose sliver may send w each way, and has a class.
func leafBench(t *testing.T, w ebpf.Way) *bench {
	t.Helper()
	l := testLimits()
	l.Egress, l.Ingress = w, w
	return newBench(t, Config{}, ebpf.Port{Class: leafClass, IFB: 9}, l)
}

// leafWay is a way that only a rate limits, and that after a large burst.
func leafWay(rate uint64) ebpf.Way {
	return ebpf.Way{Rate: rate, Burst: ebpf.MaxBurst, Packets: ebpf.MaxPacketRate, PacketBurst: ebpf.MaxPacketBurst}
}

const (
	leafClass   = 0xd0008
	sparseClass = leafClass + 1
	bulkClass   = leafClass + 2
)

// leaf sends a datagram of so many L3 octets, from a port, and returns its class.
func (b *bench) leaf(port uint16, octets int) uint32 {
	b.Helper()
	verdict, out := b.send(ebpf.Egress, udp(port, 443, octets-28).ip4(sliver4, remote4, 17).out(), skb{})
	if verdict != redirect {
		b.Fatalf("verdict %d", verdict)
	}
	return out.Priority
}

func (b *bench) wantLeaf(what string, got, want uint32) {
	b.Helper()
	if got != want {
		b.Errorf("%s: class %#x, want %#x", what, got, want)
	}
}

const ms = 1_000_000

func TestRootLeafOfAFlow(t *testing.T) {
	b := leafBench(t, leafWay(10e6))
	b.wantLeaf("its first two full packets", b.leaf(1, 1500), sparseClass)
	b.wantLeaf("its first two full packets", b.leaf(1, 1500), sparseClass)
	b.wantLeaf("more at once", b.leaf(1, 60), bulkClass)
	// A flow that differs in nothing but a port is another flow.
	for port := uint16(2); port < 100; port++ {
		b.tick(b.now + ms/2)
		b.wantLeaf("another flow", b.leaf(port, 60), sparseClass)
	}
	b.tick(1e12 + 250*ms - 1)
	b.wantLeaf("just before its time", b.leaf(1, 60), bulkClass)
	b.tick(1e12 + 250*ms)
	b.wantLeaf("after a quarter of a second", b.leaf(1, 60), sparseClass)

	if any, err := b.anyFlow(); err != nil || !any {
		t.Errorf("no flow is kept: %v", err)
	}
	// The other way is judged apart.
	back := udp(443, 1, 100).ip4(remote4, sliver4, 17).in()
	if _, out := b.send(ebpf.Ingress, back, skb{}); out.Priority != sparseClass {
		t.Errorf("towards: class %#x, want %#x", out.Priority, sparseClass)
	}
}

// Alone, a flow at a quarter of the rate is sparse; beside nine others it is not.
func TestRootLeafShare(t *testing.T) {
	b := leafBench(t, leafWay(10e6))
	const every = 1200 * 8 * 4 * 100 // ns for 1,200 octets at 2.5 Mbit/s
	for range 400 {
		b.tick(b.now + every)
		b.wantLeaf("alone", b.leaf(1, 1200), sparseClass)
	}
	for port := uint16(2); port <= 10; port++ {
		b.leaf(port, 60)
	}
	bulk := 0
	for range 40 {
		b.tick(b.now + every)
		if b.leaf(1, 1200) == bulkClass {
			bulk++
		}
	}
	if bulk < 30 {
		t.Errorf("beside nine others %d of 40 packets are bulk", bulk)
	}
}

// A flow that goes on at more than its share stays bulk: its credit is not whole
// again after a quarter of a second.
func TestRootLeafGoesOn(t *testing.T) {
	b := leafBench(t, leafWay(10e6))
	for i := range 2000 {
		b.tick(b.now + 2*ms)                  // 6 Mbit/s
		if class := b.leaf(1, 1500); i > 20 { // by then its first credit is gone
			b.wantLeaf("a bulk flow", class, bulkClass)
		}
	}
}

// However many flows there are, what all of them put into the sparse queue is
// bounded: by five milliseconds of the rate at once, and by half of it in time.
func TestRootLeafFlood(t *testing.T) {
	const rate = 100e6
	b := leafBench(t, leafWay(rate))
	sparse, port := 0, uint16(0)
	for range 20 {
		for range 60 {
			if port++; b.leaf(port, 1500) == sparseClass {
				sparse += 1500
			}
		}
		b.tick(b.now + ms)
	}
	if most := int(rate / 8 * (0.005 + 0.020/2)); sparse > most || sparse < most/2 {
		t.Errorf("%d octets were sparse, want up to %d", sparse, most)
	}
}

// A way has room for so many flows in a window; more are bulk, unseen, and do not
// take away what the first have.
func TestRootLeafRoom(t *testing.T) {
	b := leafBench(t, leafWay(1e9))
	b.tick(b.now - b.now%(1<<28)) // the beginning of a window
	const room = 1024
	for port := range uint16(room + 200) {
		want := uint32(sparseClass)
		if port >= room {
			want = bulkClass
		}
		b.tick(b.now + 10_000)
		b.wantLeaf("new flow", b.leaf(1000+port, 29), want)
	}
	if got := b.leaf(1000, 29); got != sparseClass {
		t.Errorf("a flow that is known: class %#x", got)
	}
	b.tick(b.now + 1<<28)
	b.wantLeaf("in the next window", b.leaf(1000+room+1, 29), sparseClass)
}

func TestRootLeafUnshaped(t *testing.T) {
	b := leafBench(t, leafWay(10e9))
	b.wantLeaf("at the rate of the link", b.leaf(1, 60), bulkClass)
	if any, err := b.anyFlow(); err != nil || any {
		t.Errorf("a flow is kept that nobody shapes: %v, %v", any, err)
	}
}

// anyFlow reports whether the leaf test remembers a flow.
func (b *bench) anyFlow() (bool, error) {
	pins, err := filepath.Glob(filepath.Join(b.dir, mapsPrefix+"*", "leaf_flows"))
	if err != nil || len(pins) != 1 {
		return false, fmt.Errorf("pinned at %q: %w", pins, err)
	}
	m, err := cebpf.LoadPinnedMap(pins[0], nil)
	if err != nil {
		return false, err
	}
	defer m.Close()
	var key guardFlowKey
	return m.NextKey(nil, &key) == nil, nil
}

// The kernel and the model agree on random traffic.
func TestRootLeafModel(t *testing.T) {
	none := func() ebpf.Reason { return ebpf.ReasonNone }
	for _, c := range []struct{ rate, packets uint64 }{{1e6, ebpf.MaxPacketRate}, {10e6, ebpf.MaxPacketRate}, {1e9, ebpf.MaxPacketRate}, {10e6, 1000}} {
		rate, way := c.rate, leafWay(c.rate)
		way.Packets = c.packets
		b := leafBench(t, way)
		leaves, m := ebpf.Leaves[uint16]{}, ebpf.NewMeter(way)
		r := rand.New(rand.NewPCG(rate, 4))
		bulk, steps := 0, 4000
		for i := range steps {
			b.tick(b.now + uint64(r.ExpFloat64()*float64(8e12/rate)))
			port, octets := uint16(1+r.IntN(1+r.IntN(40))), 29+r.IntN(1400)
			got, want := b.leaf(port, octets), uint32(bulkClass)
			keeps := leaves.Sparse(port, way, b.now, 1, uint64(octets))
			sparse := keeps
			if r := m.ChargeIf(b.now, 1, uint64(octets), false, &sparse, none, none); r != ebpf.ReasonNone {
				t.Fatalf("the model drops for %s", r)
			}
			if sparse {
				want = sparseClass
			} else if keeps {
				leaves.Full(port, way, b.now)
			}
			if got != want {
				t.Fatalf("%+v, step %d at %d: flow %d, %d octets: class %#x, the model has %#x", c, i, b.now, port, octets, got, want)
			}
			if got == bulkClass {
				bulk++
			}
		}
		if bulk < steps/20 || bulk > steps*19/20 {
			t.Errorf("%+v: %d of %d packets are bulk, which tests one side only", c, bulk, steps)
		}
	}
}

// BenchmarkRootLeaf is what the test of flows costs a packet: the same datagrams
// of 64 flows on a way that is shaped, and on one that is not.
func BenchmarkRootLeaf(b *testing.B) {
	for _, c := range []struct {
		name string
		rate uint64
	}{{"unshaped", 10e9}, {"shaped", 9e9}} {
		b.Run(c.name, func(b *testing.B) {
			l := testLimits()
			l.Egress = leafWay(c.rate)
			guard := newBench(b, Config{}, ebpf.Port{Class: leafClass, IFB: 9}, l)
			var took []float64
			const packets = 10_000
			for b.Loop() {
				for port := range uint16(64) {
					f := udp(1+port, 443, 36).ip4(sliver4, remote4, 17).out()
					_, d, err := guard.objects.Egress.Benchmark(f, packets, nil)
					if err != nil {
						b.Fatal(err)
					}
					took = append(took, float64(d.Nanoseconds()))
				}
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "ns/packet")
		})
	}
}
