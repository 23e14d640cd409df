// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"encoding/hex"
	"errors"
	stdnet "net"
	"strings"
	"testing"
	"time"

	"croft/ebpf"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// drizzle floods datagrams of so many L3 octets until stop.
func drizzle(t *testing.T, ns netns.NsHandle, to string, octets int) (stop func()) {
	t.Helper()
	c := from(t, ns, to)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, octets-28)
		for {
			if _, err := c.Write(buf); errors.Is(err, stdnet.ErrClosed) {
				return
			}
		}
	}()
	return func() { c.Close(); <-done }
}

func booted() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// arrived is what a device got so far, in L3 octets and packets.
func arrived(t *testing.T, h *netlink.Handle, device string) (octets, packets uint64) {
	s := link(t, h, device).Attrs().Statistics
	return s.RxBytes - etherHeader*s.RxPackets, s.RxPackets
}

// A size below a full packet's counts as the octets that it has.
func TestRootQueues(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	const rate = 2_000_000
	at, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Egress: rate, Ingress: rate})
	standIn(t, n, at, at.Guard.Class|bulkLeaf)

	const octets = 128
	before := booted()
	// One socket has room for fewer packets than the queue.
	stops := []func(){drizzle(t, in, "192.0.2.2:9000", octets), drizzle(t, in, "192.0.2.2:9000", octets), drizzle(t, in, "192.0.2.2:9000", octets), drizzle(t, in, "192.0.2.2:9000", octets)}
	var q Queues
	for q.Egress.Bulk.Drops == 0 || q.Egress.Bulk.SentPackets < 2000 {
		if booted()-before > time.Minute {
			t.Fatalf("after a minute %+v", q)
		}
		<-time.After(10 * time.Millisecond)
		var err error
		q, err = n.Queues(t.Context(), "aaaa")
		must(t, err)
	}
	for _, stop := range stops {
		stop()
	}
	b := q.Egress.Bulk
	if b.Kind != "bfifo" || b.BacklogPackets == 0 || b.BacklogBytes == 0 || b.Delay == 0 {
		t.Errorf("bulk under a flood: %+v", b)
	}
	if each := float64(b.SentBytes) / float64(b.SentPackets); each < octets-1 || each > octets+1 {
		t.Errorf("a packet of %d octets counts as %.2f", octets, each)
	}
	if q.Egress.Rate < rate-20 || q.Egress.Rate > rate+20 || !q.Egress.Shaped || q.Egress.Drops() != b.Drops {
		t.Errorf("egress: %+v", q.Egress)
	}
	if s := q.Egress.Sparse; s.Kind != "pfifo" || s.SentPackets != 0 {
		t.Errorf("sparse, of which there was nothing: %+v", s)
	}
	if !q.Ingress.Shaped || q.Ingress.Bulk.Drops != 0 {
		t.Errorf("ingress: %+v", q.Ingress)
	}
	got, _ := arrived(t, handle(t, w.outside), "out0")
	if most := uint64(rate/8*(booted()-before).Seconds()) + ebpf.MinBurst; got > most {
		t.Errorf("%d octets arrived, at most %d may", got, most)
	}

	must(t, n.SetRates(t.Context(), "aaaa", 0, rate))
	if q, err := n.Queues(t.Context(), "aaaa"); err != nil || q.Egress.Shaped || !q.Ingress.Shaped {
		t.Errorf("egress open: %+v, %v", q, err)
	}
	if _, err := n.Queues(t.Context(), "bbbb"); !errors.Is(err, ErrNoSliver) {
		t.Errorf("no such sliver: %v", err)
	}
	_, err := n.Add(t.Context(), Sliver{Name: "cccc", Place: 2})
	must(t, err)
	if q, err := n.Queues(t.Context(), "cccc"); err != nil || q != (Queues{}) {
		t.Errorf("unshaped: %+v, %v", q, err)
	}
}

// What passes stays below the highest of the rates while they change, and while
// a queue is exchanged for one of the other form; here without the guard's
// bucket, which would hold it too.
func TestRootHeldWhileRatesChange(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	for _, c := range []struct {
		what      string
		low, high uint64
		octets    int
	}{
		{"two rates", 1_000_000, 4_000_000, 1000},
		{"cut and whole", CutRate / 2, CutRate + 50_000_000, 1500},
	} {
		t.Run(c.what, func(t *testing.T) {
			at, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Egress: c.low, Ingress: c.low})
			standIn(t, n, at, at.Guard.Class|bulkLeaf)
			h := handle(t, w.outside)
			o0, _ := arrived(t, h, "out0")
			before := booted()
			stop := drizzle(t, in, "192.0.2.2:9000", c.octets)
			defer stop()
			for i := 0; booted()-before < 3*time.Second; i++ {
				rate := c.low
				if i%2 == 0 {
					rate = c.high
				}
				must(t, n.SetRates(t.Context(), "aaaa", rate, rate))
				<-time.After(50 * time.Millisecond)
			}
			o1, packets := arrived(t, h, "out0")
			burst := max(c.high/8/4, ebpf.MinBurst)
			if most := uint64(float64(c.high)/8*(booted()-before).Seconds()) + burst; o1-o0 > most || packets == 0 {
				t.Errorf("%d octets in %d packets arrived, at most %d may", o1-o0, packets, most)
			}
			stop()
			must(t, n.Remove(t.Context(), "aaaa"))
		})
	}
}

// A super-packet of 64 kB reaches HTB as its pieces, none longer than a packet.
func TestRootSuperPacketsAreCut(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Egress: 50e6, Ingress: 50e6})
	flooded(t, w.outside, in)
	q, err := n.Queues(t.Context(), "aaaa")
	must(t, err)
	b := q.Ingress.Bulk
	if each := b.SentBytes / max(b.SentPackets, 1); b.SentPackets == 0 || each > mtu {
		t.Errorf("%d octets a packet: %+v", each, b)
	}
	out, err := command(n.space, "tc", "-s", "class", "show", "dev", "cs1")
	must(t, err)
	if !strings.Contains(out, "giants: 0") {
		t.Errorf("HTB met packets longer than it was told of:\n%s", out)
	}
}

func TestRootMethod(t *testing.T) {
	for _, c := range []struct {
		lacks           string
		egress, ingress bool // shaped all the same
		want            []string
	}{
		{"", true, true, []string{"egress: HTB", "ingress: HTB", "bulk queue: ", "super-packets: cut"}},
		{"tbf", true, true, []string{"egress: HTB", "ingress: HTB", "bulk queue: ", "super-packets: queue whole"}},
		{"ifb", false, true, []string{"egress: policed", "ingress: HTB", "", ""}},
		{"htb", false, false, []string{"egress: policed", "ingress: policed", "bulk queue: none", ""}},
	} {
		t.Run("without "+c.lacks, func(t *testing.T) {
			w := newWorld(t)
			n := w.mustOpen(Config{Places: 4, lacks: map[string]bool{c.lacks: true}})
			at, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Egress: 5e6, Ingress: 5e6})
			if (at.Guard.IFB != 0) != c.egress {
				t.Errorf("port %+v", at.Guard)
			}
			for i, m := range n.Method().Lines() {
				if !strings.HasPrefix(m.InForce, c.want[i]) {
					t.Errorf("in force: %q, want %q", m.InForce, c.want[i])
				}
				if c.lacks != "" && strings.Contains(m.InForce, "policed") && !strings.Contains(m.Cost, "needs ") {
					t.Errorf("%q costs %q", m.InForce, m.Cost)
				}
			}
			q, err := n.Queues(t.Context(), "aaaa")
			if err != nil || q.Egress.Shaped != c.egress || q.Ingress.Shaped != c.ingress {
				t.Errorf("queues %+v, %v", q, err)
			}
			must(t, n.SetRates(t.Context(), "aaaa", 8e6, 8e6))
			listen(t, w.outside, "192.0.2.2:7000")
			if c.egress {
				standIn(t, n, at, at.Guard.Class|sparseLeaf)
			}
			if _, err := ask(in, "", "192.0.2.2:7000"); err != nil {
				t.Errorf("no way out: %v", err)
			}
			must(t, n.Close())
			if c.egress {
				return
			}
			// The part is there when the daemon comes back.
			n = w.mustOpen(Config{Places: 4})
			if err := n.SetRates(t.Context(), "aaaa", 8e6, 8e6); !errors.Is(err, ErrReattach) {
				t.Errorf("shaped from now on: %v, want %v", err, ErrReattach)
			}
			must(t, n.Remove(t.Context(), "aaaa"))
		})
	}
}

// Where the kernel has no fq_codel this is all that is tested of it: the form in
// which it is told, octet for octet that of tc 6.1 with the same words: limit 10240
// quantum 1514 interval 360ms target 18ms ecn memory_limit 700000.
func TestCodelForm(t *testing.T) {
	q := queue{has: parts{ifb: true, htb: true, codel: true, cut: true}}
	const id = htbMajor | 4
	all := q.leaves(id, shapeFor(1e6, true))
	if len(all) != 3 || all[1].kind != "tbf" || all[2].kind != "fq_codel" || all[2].parent != all[1].handle|1 {
		t.Fatalf("cut: %+v", all)
	}
	want := "08000200" + "00280000" + // 10,240 packets
		"08000600" + "ea050000" + // quantum of a full packet
		"08000300" + "407e0500" + // interval 360 ms
		"08000100" + "50460000" + // target 18 ms
		"08000400" + "01000000" + // ECN
		"08000900" + "60ae0a00" // 700 kB
	got := all[2].options
	if w, _ := hex.DecodeString(want); !bytes.Equal(got, w) {
		t.Errorf("options\n%x, want\n%s", got, want)
	}
	all = q.leaves(id, shapeFor(1e9, true))
	if len(all) != 2 || all[1].kind != "fq_codel" || all[1].parent != id|bulkLeaf {
		t.Errorf("whole: %+v", all)
	}
	if m := q.has.method(); m.Bulk.Cost != "" || !strings.Contains(m.Bulk.InForce, "fq_codel") {
		t.Errorf("%+v", m.Bulk)
	}
}

// BenchmarkRootThousandSlivers is what the classes and queues of 1,000 slivers
// take to be made, to be read and to be taken away, on one IFB.
func BenchmarkRootThousandSlivers(b *testing.B) {
	if err := needRoot(); err != nil {
		b.Skip(err)
	}
	var space netns.NsHandle
	if err := within(netns.None(), func() (err error) { space, err = netns.New(); return err }); err != nil {
		b.Fatal(err)
	}
	defer space.Close()
	h, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	line, err := newWire(space)
	if err != nil {
		b.Fatal(err)
	}
	defer line.close()
	for b.Loop() {
		if err := h.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "ifb"}}); err != nil {
			b.Fatal(err)
		}
		dev, err := h.LinkByName("ifb")
		if err != nil {
			b.Fatal(err)
		}
		q := queue{h: h, line: line, dev: dev, has: parts{ifb: true, htb: true, cut: true}}
		if err := q.root(strays); err != nil {
			b.Fatal(err)
		}
		p := plan{places: MaxPlaces}
		timed := func(what string, do func(id uint32) error) {
			start := time.Now()
			for place := range 1000 {
				if err := do(p.class(place)); err != nil {
					b.Fatalf("%s: %v", what, err)
				}
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "µs/"+what)
		}
		timed("made", func(id uint32) error { return q.way(id, shapeFor(1e6, true)) })
		timed("changed", func(id uint32) error { return q.way(id, shapeFor(2e6, true)) })
		timed("read", func(id uint32) error { _, err := q.read(id); return err })
		timed("removed", q.dropWay)
		if err := h.LinkDel(dev); err != nil {
			b.Fatal(err)
		}
	}
}
