// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// leafBench is a guard whose sliver has that rate each way, and a class.
func leafBench(t *testing.T, rate uint64) *bench {
	t.Helper()
	l := testLimits()
	l.Egress = ebpf.Way{Rate: rate, Burst: ebpf.MaxBurst, Packets: ebpf.MaxPacketRate, PacketBurst: ebpf.MaxPacketBurst}
	l.Ingress = l.Egress
	return newBench(t, Config{}, ebpf.Port{Class: leafClass, IFB: 9}, l)
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
	b := leafBench(t, 10e6)
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
	b := leafBench(t, 10e6)
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
	b := leafBench(t, 10e6)
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
	b := leafBench(t, rate)
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
	b := leafBench(t, 1e9)
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
	b := leafBench(t, 10e9)
	b.wantLeaf("at the rate of the link", b.leaf(1, 60), bulkClass)
	if any, err := b.anyFlow(); err != nil || any {
		t.Errorf("a flow is kept that nobody shapes: %v, %v", any, err)
	}
}

// anyFlow reports whether the leaf test remembers a flow.
func (b *bench) anyFlow() (bool, error) {
	m, err := cebpf.LoadPinnedMap(filepath.Join(b.dir, "leaf_flows"), nil)
	if err != nil {
		return false, err
	}
	defer m.Close()
	var key guardFlowKey
	return m.NextKey(nil, &key) == nil, nil
}

// leafModel is leaf.h in Go.
type leafModel struct {
	rate, window, due uint64
	count, before     uint64
	flows             map[uint16]*leafModelFlow
}

type leafModelFlow struct{ due, bulk, window uint64 }

func (m *leafModel) packet(port uint16, now, bytes uint64) uint32 {
	window := now >> 28
	if m.window != window {
		m.before = 0
		if m.window+1 == window {
			m.before = m.count
		}
		m.window, m.count = window, 0
	}
	f := m.flows[port]
	if f == nil {
		if m.count >= 1024 {
			return bulkClass
		}
		f = &leafModelFlow{}
		m.flows[port] = f
	}
	if f.window != window {
		f.window = window
		m.count++
	}
	active, octet := min(max(m.count, m.before), 1024), uint64(16e9)
	take := func(due *uint64, cost, depth uint64) bool {
		from := max(*due, now)
		if from-now+cost > depth {
			return false
		}
		*due = from + cost
		return true
	}
	switch {
	case !take(&f.due, bytes*octet*active/m.rate, 3000*octet*active/m.rate):
		f.bulk = now + 250*ms
	case now < f.bulk:
	case !take(&m.due, bytes*octet/m.rate, max(12_000*octet/m.rate, 10*ms)):
		f.bulk = now + max(10*ms, 70_000*octet/2/m.rate)
	default:
		return sparseClass
	}
	return bulkClass
}

// The kernel and the model agree on random traffic.
func TestRootLeafModel(t *testing.T) {
	for _, rate := range []uint64{1e6, 10e6, 1e9} {
		b := leafBench(t, rate)
		m := &leafModel{rate: rate, flows: map[uint16]*leafModelFlow{}}
		r := rand.New(rand.NewPCG(rate, 4))
		bulk, steps := 0, 4000
		for i := range steps {
			b.tick(b.now + uint64(r.ExpFloat64()*float64(8e12/rate)))
			port, octets := uint16(1+r.IntN(1+r.IntN(40))), 29+r.IntN(1400)
			got, want := b.leaf(port, octets), m.packet(port, b.now, uint64(octets))
			if got != want {
				t.Fatalf("%d bit/s, step %d at %d: flow %d, %d octets: class %#x, the model has %#x", rate, i, b.now, port, octets, got, want)
			}
			if got == bulkClass {
				bulk++
			}
		}
		if bulk < steps/20 || bulk > steps*19/20 {
			t.Errorf("%d bit/s: %d of %d packets are bulk, which tests one side only", rate, bulk, steps)
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
			l.Egress = ebpf.Way{Rate: c.rate, Burst: ebpf.MaxBurst, Packets: ebpf.MaxPacketRate, PacketBurst: ebpf.MaxPacketBurst}
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
