// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"net/netip"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

var errCrash = errors.New("crash")

// crashAt has the n-th step end the daemon, and tells which it was.
func crashAt(n int) (fault func(string) error, step *string) {
	step = new(string)
	return func(s string) error {
		if n--; n >= 0 {
			return nil
		}
		if *step == "" {
			*step = s
		}
		return errCrash // and nothing after it is done
	}, step
}

// A daemon that is killed before any step of Attach leaves a port that passes
// nothing or what the limits say, and the next one finishes.
func TestRootAttachCrashes(t *testing.T) {
	for _, method := range []Method{TCX, Clsact} {
		for n := 0; ; n++ {
			w := newWorld(t, Config{Method: method})
			at, own, _ := w.NewPort("s")
			l := w.limits(own)
			l.Egress.Packets, l.Egress.PacketBurst, l.FanOut = 1, 5, 3
			fault, step := crashAt(n)
			w.guard.fault = fault
			begun := w.Now()
			if err := w.guard.Attach(t.Context(), at, l); (err == nil) != (*step == "") {
				t.Fatalf("%s: crash before %q: %v", method, *step, err)
			}
			w.Reopen(func() {})
			must(t, w.guard.Attach(t.Context(), at, l))
			w.Up(at)
			got, late := w.out(at, own, 9), int((w.Now()-begun)/1e9)+1
			if got < 5 || got > 5+late {
				t.Fatalf("%s: crash before %q: %d passed, want 5", method, *step, got)
			}
			if *step == "" {
				if n < 7 {
					t.Fatalf("%s: only %d steps", method, n)
				}
				break
			}
		}
	}
}

// And one that is killed before any step of Detach leaves a port that passes
// nothing; what is left, the next one takes away.
func TestRootDetachCrashes(t *testing.T) {
	for _, method := range []Method{TCX, Clsact} {
		for n := 0; ; n++ {
			w := newWorld(t, Config{Method: method})
			at, own, _ := w.NewPort("s")
			l := w.limits(own)
			l.FanOut = 3
			must(t, w.guard.Attach(t.Context(), at, l))
			w.Up(at)
			if got := w.out(at, own, 2); got != 2 {
				t.Fatalf("%s: %d of 2 passed", method, got)
			}
			fault, step := crashAt(n)
			w.guard.fault = fault
			if err := w.guard.Detach(t.Context(), "s"); (err == nil) != (*step == "") {
				t.Fatalf("%s: crash before %q: %v", method, *step, err)
			}
			if got := w.out(at, own, 2); got != 0 && *step != "close" {
				t.Fatalf("%s: crash before %q: %d passed", method, *step, got)
			}
			w.Reopen(func() {})
			must(t, w.guard.Detach(t.Context(), "s"))
			must(t, w.guard.Drain(t.Context(), func(ebpf.Epoch) error { return nil }))
			o := w.guard.objects
			for name, m := range map[string]*cebpf.Map{"limits": o.Limits, "meters": o.Meters, "tenures": o.Tenures, "pages": o.Pages, "fans": o.Fans} {
				var k, v []byte
				if all := m.Iterate(); all.Next(&k, &v) || all.Err() != nil {
					t.Errorf("%s: crash before %q: %s is not empty, %v", method, *step, name, all.Err())
				}
			}
			if *step == "" {
				break
			}
		}
	}
}

// Where there is no TCX, filters of clsact do the same: every test of the suite,
// and a newer daemon's program in the place of the older one's.
func TestRootClsactConformance(t *testing.T) {
	ebpftest.Run(t, func(t *testing.T) ebpftest.World { return newWorld(t, Config{Method: Clsact}) })
}

// What a machine is asked before it hosts: TCX where it is, and clsact if that is
// all there is, tried in a namespace of its own.
func TestRootMethodIsFound(t *testing.T) {
	needRoot(t)
	for forced, want := range map[Method]Method{"": TCX, Clsact: Clsact} {
		if m, err := FindMethod(forced); err != nil || m != want {
			t.Errorf("%q: found %q, %v, want %q", forced, m, err, want)
		}
	}
}

func TestRootMethodIsTold(t *testing.T) {
	w := newWorld(t, Config{})
	if m := w.guard.Method(); m != TCX { // the kernels that tests run on are newer than 6.6
		t.Errorf("method %s", m)
	}
	w = newWorld(t, Config{Method: Clsact})
	at, own, _ := w.NewPort("s")
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	var before, after int
	program := func(id *int) {
		w.in(w.node, func() error {
			dev, err := netlink.LinkByIndex(at.IfIndex)
			if err != nil {
				return err
			}
			filters, err := netlink.FilterList(dev, filterAt(at.IfIndex, ebpf.Egress).Parent)
			if err == nil && len(filters) == 1 {
				*id = filters[0].(*netlink.BpfFilter).Id
			}
			return err
		})
	}
	program(&before)
	w.Reopen(func() {})
	program(&after)
	if before == 0 || after == 0 || before == after {
		t.Errorf("program %d, and %d after a restart", before, after)
	}
	// A daemon that finds TCX again leaves filters where they are.
	must(t, w.guard.Close())
	w.cfg.Method = TCX
	w.Reopen(func() {})
	w.Up(at)
	if n := w.out(at, own, 3); n != 3 {
		t.Fatalf("%d of 3 arrived", n)
	}
	must(t, w.guard.Detach(t.Context(), "s"))
	w.in(w.node, func() error {
		dev, err := netlink.LinkByIndex(at.IfIndex)
		must(t, err)
		for _, d := range directions {
			if left, err := netlink.FilterList(dev, filterAt(at.IfIndex, d).Parent); err != nil || len(left) != 0 {
				t.Errorf("filters %v after detach, %v", left, err)
			}
		}
		return nil
	})
}

// A sliver that has more flows than its memory holds has the oldest forgotten,
// which are new again; another's are not touched, nor are those that it opened
// by strangers' packets.
func TestRootMemoryIsASliversOwn(t *testing.T) {
	l := testLimits()
	l.FlowsNew, l.Rows = 1<<20, ebpf.MaxFlows/4
	b := newBench(t, Config{}, ebpf.Port{}, l)
	for n := range 40_000 { // strangers, from as many addresses
		src := netip.AddrFrom4([4]byte{198, 41, byte(n >> 8), byte(n)})
		b.send(ebpf.Ingress, udp(uint16(n), 80, 4).ip4(src, sliver4, 17).in(), skb{})
	}
	taken := func(do func()) uint64 {
		var before, after guardMeter
		key := guardMeterKey{Tenure: b.ports["probe"].tenure, Way: uint32(ebpf.Egress)}
		must(t, b.objects.Meters.Lookup(key, &before))
		do()
		must(t, b.objects.Meters.Lookup(key, &after))
		return (before.Purse.Flows.Level - after.Purse.Flows.Level) / ebpf.PacketUnits
	}
	flows := func(n int) {
		for n := range n {
			b.send(ebpf.Egress, udp(uint16(n), 53, 4).ip4(sliver4, remote4, 17).out(), skb{})
		}
	}
	// With a quarter of the places of the smallest memory taken, one set of eight
	// in thousands overflows, and each that does has a few forgotten.
	b.drained()
	const few = minPages * pageFlows / 4
	if n := taken(func() { flows(few); b.drained(); flows(few) }); n < few || n > few+few/20 {
		t.Errorf("%d new flows of %d", n, few)
	}
	const many = 8 * minPages * pageFlows
	if n := taken(func() { flows(many); b.drained(); flows(many) }); n < many {
		t.Errorf("%d new flows of %d twice", n, many)
	}
}

// Growing a lease does not make its open flows new.
func TestRootMemoryGrows(t *testing.T) {
	l := testLimits()
	const flows = 100 // so few that no set of the smallest memory overflows, but once in ten thousand runs
	l.FlowsNew = flows
	b := newBench(t, Config{}, ebpf.Port{}, l)
	for n := range uint16(flows) {
		b.expect(ebpf.Egress, udp(n, 53, 4).ip4(sliver4, remote4, 17).out(), ebpf.ReasonNone)
	}
	l.FlowsLive = 20_000
	must(t, b.Update(t.Context(), "probe", l))
	b.drained() // and the seals of the rows
	for n := range uint16(flows) {
		b.expect(ebpf.Egress, udp(n, 53, 4).ip4(sliver4, remote4, 17).out(), ebpf.ReasonNone)
	}
	b.expect(ebpf.Egress, udp(flows+1, 53, 4).ip4(sliver4, remote4, 17).out(), ebpf.ReasonFlows)
}

// An error that a stranger's packet draws is an answer to it.
func TestRootErrorsAreAnswers(t *testing.T) {
	l := testLimits()
	l.FlowsNew = 1
	b := newBench(t, Config{}, ebpf.Port{}, l)
	for n := range uint16(16) {
		b.expect(ebpf.Egress, udp(n, 53, 4).ip4(sliver4, remote4, 17).out(), ebpf.ReasonNone)
	}
	for n := range byte(3) {
		src4, src6 := netip.AddrFrom4([4]byte{198, 41, 1, n}), netip.AddrFrom16([16]byte{0x26, 0x06, 0x47, 5: n})
		asked4, asked6 := udp(9, 4444, 4).ip4(src4, sliver4, 17), udp(9, 4444, 4).ip6(src6, sliver6, 17)
		answer4 := append(icmp(3, 3, 0), asked4[:28]...).ip4(sliver4, src4, 1).out()
		answer6 := append(icmp(1, 4, 0), asked6[:48]...).ip6(sliver6, src6, 58).out()
		b.expect(ebpf.Egress, answer4, ebpf.ReasonFlows) // nobody asked
		b.expect(ebpf.Egress, answer6, ebpf.ReasonFlows)
		b.expect(ebpf.Ingress, asked4.in(), ebpf.ReasonNone)
		b.expect(ebpf.Ingress, asked6.in(), ebpf.ReasonNone)
		b.expect(ebpf.Egress, answer4, ebpf.ReasonNone)
		b.expect(ebpf.Egress, answer6, ebpf.ReasonNone)
	}
}

func TestRootOptOutIsBounded(t *testing.T) {
	b := newBench(t, Config{}, ebpf.Port{}, testLimits())
	addrs := make([]netip.Addr, ebpf.MaxOptOut+1)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{198, 41 + byte(i>>16), byte(i >> 8), byte(i)})
	}
	if err := b.SetOptOut(t.Context(), addrs); !errors.Is(err, ebpf.ErrField) {
		t.Fatalf("one too many: %v", err)
	}
	must(t, b.SetOptOut(t.Context(), addrs[:ebpf.MaxOptOut]))
	b.expect(ebpf.Egress, udp(1, 2, 4).ip4(sliver4, addrs[ebpf.MaxOptOut-1], 17).out(), ebpf.ReasonOptOut)
	b.expect(ebpf.Egress, udp(1, 2, 4).ip4(sliver4, addrs[ebpf.MaxOptOut], 17).out(), ebpf.ReasonNone)
	if err := b.SetOptOut(t.Context(), []netip.Addr{{}}); !errors.Is(err, ebpf.ErrField) {
		t.Fatalf("no address: %v", err)
	}
	b.expect(ebpf.Egress, udp(1, 2, 4).ip4(sliver4, addrs[0], 17).out(), ebpf.ReasonOptOut) // the old set stays
}
