// SPDX-License-Identifier: Apache-2.0

// Package ebpftest is what every [ebpf.Guard] must do, the kernel's and a
// model's alike. A [World] gives the suite ports and moves packets; the suite
// judges by what arrives and by what the guard says of it.
//
//	func TestRootConformance(t *testing.T) {
//		ebpftest.Run(t, func(t *testing.T) ebpftest.World { return newWorld(t) })
//	}
//
// Each test has a World of its own; a World is used by one goroutine.
package ebpftest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"croft/ebpf"
)

// World is one node with a guard that closes [Closed] and not [Remote].
type World interface {
	// Guard returns the guard as the living process has it.
	Guard() ebpf.Guard
	// Reopen ends the guard's process and starts another over what is left.
	// While none lives, it calls meanwhile.
	Reopen(meanwhile func())
	// NewPort makes a port that is down. Other is an address from which the
	// sliver can send too, but which is not its own.
	NewPort(sliver string) (at ebpf.Port, own ebpf.Addresses, other netip.Addr)
	// Up takes the port up. It is called after Attach.
	Up(at ebpf.Port)
	// Send sends n UDP packets of size octets at L3 through the port, egress
	// from its sliver and ingress towards it, and returns how many arrived.
	Send(at ebpf.Port, d ebpf.Direction, from, to netip.AddrPort, n, size int) int
	// Now is the boot clock in ns, and Until waits for it.
	Now() int64
	Until(boot int64)
}

// Remote is a destination that a sliver may reach, Closed one that it may not.
var (
	Remote = netip.MustParseAddrPort("198.41.0.4:6000")
	Closed = netip.MustParseAddrPort("10.50.0.1:6000")
)

// Run runs the suite; each test calls newWorld once.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for _, c := range []struct {
		name string
		test func(*testing.T, World)
	}{
		{"limits hold from the first packet", limitsFromTheFirstPacket},
		{"octets are limited", octets},
		{"attach again changes nothing", attachAgain},
		{"update takes effect", update},
		{"detach ends it", detach},
		{"deadline ends it", deadline},
		{"only its own source", source},
		{"closed ranges", closed},
		{"one sliver does not pay for another", separate},
		{"unknown slivers", unknown},
		{"rows are exact", rows},
		{"a refused epoch comes again", refused},
		{"death of the daemon", death},
		{"impossible input", impossible},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newWorld(t)) })
	}
}

var wide = ebpf.Way{Rate: 1e10, Burst: 1 << 30, Packets: 1e6, PacketBurst: 1e6}

// tight lets n packets pass, and one more in a thousand seconds at the soonest.
func tight(n uint64) ebpf.Way {
	return ebpf.Way{Rate: 1e10, Burst: 1 << 30, Packets: 1, PacketBurst: n}
}

// sliver is an attached port and how to use it.
type sliver struct {
	t     *testing.T
	w     World
	at    ebpf.Port
	own   netip.AddrPort
	other netip.AddrPort
	l     ebpf.Limits
}

// attach makes a port with limits in both directions and takes it up.
func attach(t *testing.T, w World, name string, egress, ingress ebpf.Way) *sliver {
	t.Helper()
	at, own, other := w.NewPort(name)
	s := &sliver{t, w, at, netip.AddrPortFrom(own.Source4, 5000), netip.AddrPortFrom(other, 5000), ebpf.Limits{
		Egress: egress, Ingress: ingress, Source4: own.Source4, Source6: own.Source6, MAC: own.MAC, Deadline: w.Now() + 3600e9,
	}}
	must(t, w.Guard().Attach(t.Context(), at, s.l))
	w.Up(at)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *sliver) out(n, size int) int {
	return s.w.Send(s.at, ebpf.Egress, s.own, Remote, n, size)
}

func (s *sliver) in(n, size int) int {
	return s.w.Send(s.at, ebpf.Ingress, Remote, s.own, n, size)
}

func (s *sliver) counters() ebpf.Counters {
	s.t.Helper()
	c, err := s.w.Guard().Counters(s.t.Context(), s.at.Sliver)
	must(s.t, err)
	return c
}

func (s *sliver) update(change func(*ebpf.Limits)) {
	s.t.Helper()
	change(&s.l)
	must(s.t, s.w.Guard().Update(s.t.Context(), s.at.Sliver, s.l))
}

// count checks one direction's packets: seen, passed, and the rest for reason.
func count(t *testing.T, what string, c ebpf.Count, seen, passed uint64, reason ebpf.Reason) {
	t.Helper()
	if c.SeenPackets != seen || c.PassedPackets != passed || c.DroppedPackets() != seen-passed || c.Dropped[reason] != seen-passed {
		t.Fatalf("%s: %+v, want %d seen, %d passed, the rest dropped for %s", what, c, seen, passed, reason)
	}
}

// drain returns the epochs of one drain, each of which must add up.
func drain(t *testing.T, w World) []ebpf.Epoch {
	t.Helper()
	var got []ebpf.Epoch
	must(t, w.Guard().Drain(t.Context(), func(e ebpf.Epoch) error { got = append(got, e); return e.Identity.Check() }))
	if len(got) == 0 {
		t.Fatal("a drain without an epoch")
	}
	return got
}

func limitsFromTheFirstPacket(t *testing.T, w World) {
	start := w.Now()
	s := attach(t, w, "first", tight(10), tight(20))
	out, in := s.out(50, 100), s.in(50, 100)
	late := int((w.Now()-start)/1e9) + 1 // what the rate itself gives
	if out < 10 || out > 10+late || in < 20 || in > 20+late {
		t.Fatalf("%d out and %d in arrived, want 10 and 20", out, in)
	}
	c := s.counters()
	count(t, "out", c.Egress, 50, uint64(out), ebpf.ReasonPackets)
	count(t, "in", c.Ingress, 50, uint64(in), ebpf.ReasonPackets)
}

func octets(t *testing.T, w World) {
	way := wide
	way.Rate, way.Burst = 1, 12_000 // of which 3,000 are kept for sparse flows, as this one is at first
	s := attach(t, w, "octets", way, way)
	if n := s.out(20, 1000); n != 12 {
		t.Fatalf("%d of 1,000 octets passed a burst of 12,000", n)
	}
	if n := s.in(24, 500); n != 24 {
		t.Fatalf("%d of 500 octets passed a burst of 12,000, want 24", n)
	}
	c := s.counters()
	count(t, "out", c.Egress, 20, 12, ebpf.ReasonBytes)
	if c.Egress.PassedBytes != 12_000 || c.Egress.SeenBytes != 20_000 || c.Ingress.PassedBytes != 12_000 {
		t.Fatalf("%+v", c)
	}
}

func attachAgain(t *testing.T, w World) {
	way := wide
	way.Rate, way.Burst = 1, 4000
	s := attach(t, w, "again", way, wide)
	if n := s.out(10, 1000); n != 4 {
		t.Fatalf("%d arrived, want 4", n)
	}
	must(t, w.Guard().Attach(t.Context(), s.at, s.l))
	if n := s.out(10, 1000); n != 0 {
		t.Fatalf("attaching again gave room for %d packets", n)
	}
	count(t, "out", s.counters().Egress, 20, 4, ebpf.ReasonBytes)
}

func update(t *testing.T, w World) {
	shut := ebpf.Way{}
	s := attach(t, w, "update", shut, wide)
	if n := s.out(5, 100); n != 0 {
		t.Fatalf("%d passed a way of nothing", n)
	}
	// A bucket that gets room is not full: it fills at its rate.
	s.update(func(l *ebpf.Limits) { l.Egress = wide; l.Egress.Packets = 1e9 })
	if n := s.out(5, 100); n != 5 {
		t.Fatalf("%d of 5 arrived after the update", n)
	}
	s.update(func(l *ebpf.Limits) { l.Egress = shut })
	if n := s.out(5, 100); n != 0 {
		t.Fatalf("%d passed after the update to nothing", n)
	}
	if n := s.in(5, 100); n != 5 {
		t.Fatalf("%d of 5 arrived the other way", n)
	}
}

func detach(t *testing.T, w World) {
	s := attach(t, w, "detach", wide, wide)
	if n := s.out(3, 100); n != 3 {
		t.Fatalf("%d of 3 arrived", n)
	}
	g := w.Guard()
	must(t, g.Detach(t.Context(), s.at.Sliver))
	must(t, g.Detach(t.Context(), s.at.Sliver))
	if n := s.out(3, 100); n != 0 {
		t.Fatalf("%d passed after detach", n)
	}
	if _, err := g.Counters(t.Context(), s.at.Sliver); !errors.Is(err, ebpf.ErrNotAttached) {
		t.Fatalf("counters after detach: %v", err)
	}
	flows := drain(t, w)[0].Flows
	if len(flows) != 1 || flows[0].Sliver != s.at.Sliver || flows[0].Packets != 3 {
		t.Fatalf("rows after detach: %v", flows)
	}
}

func deadline(t *testing.T, w World) {
	s := attach(t, w, "deadline", wide, wide)
	if n := s.out(3, 100); n != 3 {
		t.Fatalf("%d of 3 arrived", n)
	}
	s.update(func(l *ebpf.Limits) { l.Deadline = w.Now() + 50e6 })
	w.Until(s.l.Deadline)
	if out, in := s.out(4, 100), s.in(4, 100); out+in != 0 {
		t.Fatalf("%d out and %d in passed after the deadline", out, in)
	}
	c := s.counters()
	count(t, "out", c.Egress, 7, 3, ebpf.ReasonDeadline)
	count(t, "in", c.Ingress, 4, 0, ebpf.ReasonDeadline)
}

func source(t *testing.T, w World) {
	s := attach(t, w, "source", wide, wide)
	if n := w.Send(s.at, ebpf.Egress, s.other, Remote, 4, 100); n != 0 {
		t.Fatalf("%d passed from another address", n)
	}
	count(t, "out", s.counters().Egress, 4, 0, ebpf.ReasonSource)
}

func closed(t *testing.T, w World) {
	s := attach(t, w, "closed", wide, wide)
	if n := w.Send(s.at, ebpf.Egress, s.own, Closed, 4, 100); n != 0 {
		t.Fatalf("%d reached a closed range", n)
	}
	count(t, "out", s.counters().Egress, 4, 0, ebpf.ReasonClosed)
}

func separate(t *testing.T, w World) {
	way := wide
	way.Rate, way.Burst = 1, 1000
	poor, rich := attach(t, w, "poor", way, wide), attach(t, w, "rich", wide, wide)
	if n := poor.out(10, 1000); n != 1 {
		t.Fatalf("%d of the poor's arrived, want 1", n)
	}
	if n := rich.out(10, 1000); n != 10 {
		t.Fatalf("%d of the rich's arrived, want 10", n)
	}
	// Going at another's port is going under another name.
	if n := w.Send(poor.at, ebpf.Egress, rich.own, Remote, 3, 100); n != 0 {
		t.Fatalf("%d passed under another sliver's address", n)
	}
}

func unknown(t *testing.T, w World) {
	g := w.Guard()
	if err := g.Update(t.Context(), "nobody", ebpf.Limits{}); !errors.Is(err, ebpf.ErrNotAttached) {
		t.Errorf("update: %v", err)
	}
	if _, err := g.Counters(t.Context(), "nobody"); !errors.Is(err, ebpf.ErrNotAttached) {
		t.Errorf("counters: %v", err)
	}
	must(t, g.Detach(t.Context(), "nobody"))
}

func rows(t *testing.T, w World) {
	s := attach(t, w, "rows", wide, wide)
	s.out(7, 300)
	s.in(5, 200)
	w.Send(s.at, ebpf.Egress, s.own, Closed, 2, 100)
	e := drain(t, w)[0]
	if len(e.Flows) != 2 {
		t.Fatalf("rows %v", e.Flows)
	}
	for i, want := range []ebpf.Flow{
		{Direction: ebpf.Egress, Src: s.own, Dst: Remote, Packets: 7, Bytes: 2100},
		{Direction: ebpf.Ingress, Src: Remote, Dst: s.own, Packets: 5, Bytes: 1000},
	} {
		got := e.Flows[i]
		if got.Last < got.First || got.Last > e.At || e.At-got.First > 60e9 {
			t.Errorf("times of %s, drained at %d", got, e.At)
		}
		want.Place, want.Sliver, want.Proto, want.First, want.Last = s.at.Place, s.at.Sliver, 17, got.First, got.Last
		if got != want {
			t.Errorf("row  %+v\nwant %+v", got, want)
		}
	}
	if i := e.Identity; i.Seen != 14 || i.Recorded != 12 || i.Dropped[ebpf.ReasonClosed] != 2 {
		t.Errorf("%+v", i)
	}
	// One in which nothing is seen goes on: no number is missing from the record.
	must(t, w.Guard().Drain(t.Context(), func(e ebpf.Epoch) error { return fmt.Errorf("nothing was seen in %+v", e) }))
	s.out(1, 300)
	next := drain(t, w)[0]
	if next.Series != e.Series || next.Number != e.Number+1 || len(next.Flows) != 1 || next.Identity.Seen != 1 {
		t.Errorf("next epoch %+v", next)
	}
}

func refused(t *testing.T, w World) {
	s := attach(t, w, "refused", wide, wide)
	s.out(7, 300)
	full := errors.New("disk full")
	var first ebpf.Epoch
	err := w.Guard().Drain(t.Context(), func(e ebpf.Epoch) error { first = e; return full })
	if !errors.Is(err, full) {
		t.Fatalf("drain: %v, want what keep said", err)
	}
	s.out(2, 300)
	w.Reopen(func() {})
	again := drain(t, w)
	if len(again) != 2 || again[0].Number != first.Number || again[0].Series != first.Series || again[1].Number != first.Number+1 {
		t.Fatalf("epochs %+v after refusal of %d", again, first.Number)
	}
	if a, b := again[0].Flows, again[1].Flows; len(a) != 1 || a[0].Packets != 7 || len(b) != 1 || b[0].Packets != 2 {
		t.Fatalf("rows %v and %v", a, b)
	}
	must(t, w.Guard().Drain(t.Context(), func(e ebpf.Epoch) error { return fmt.Errorf("what was kept comes again: %+v", e) }))
}

func death(t *testing.T, w World) {
	way := wide
	way.Rate, way.Burst = 1, 12_000
	s := attach(t, w, "death", way, wide)
	if n := s.out(5, 1000); n != 5 {
		t.Fatalf("%d of 5 arrived", n)
	}
	before := drain(t, w)[0]
	w.Reopen(func() {
		if n := s.out(5, 1000); n != 5 {
			t.Errorf("%d of 5 arrived while the daemon was dead", n)
		}
	})
	if n := s.out(4, 1000); n != 2 {
		t.Fatalf("%d arrived after the restart, want the 2 that are left", n)
	}
	count(t, "out", s.counters().Egress, 14, 12, ebpf.ReasonBytes)
	e := drain(t, w)[0]
	if e.Number != before.Number+1 || len(e.Flows) != 1 || e.Flows[0].Packets != 7 || e.Flows[0].Sliver != s.at.Sliver {
		t.Fatalf("epoch over the restart: %+v", e)
	}
	must(t, w.Guard().Attach(t.Context(), s.at, s.l))
	s.update(func(l *ebpf.Limits) { l.Egress = wide; l.Egress.Rate = 1e12 })
	if n := s.out(3, 100); n != 3 {
		t.Fatalf("%d of 3 arrived after an update of an adopted sliver", n)
	}
	must(t, w.Guard().Detach(t.Context(), s.at.Sliver))
	if n := s.out(3, 100); n != 0 {
		t.Fatalf("%d passed after detach of an adopted sliver", n)
	}
}

func impossible(t *testing.T, w World) {
	g := w.Guard()
	at, _, _ := w.NewPort("odd")
	bad := at
	bad.Sliver = "../../etc"
	if err := g.Attach(t.Context(), bad, ebpf.Limits{}); !errors.Is(err, ebpf.ErrField) {
		t.Errorf("name: %v", err)
	}
	if err := g.Attach(t.Context(), at, ebpf.Limits{Egress: ebpf.Way{Rate: ebpf.MaxRate + 1}}); !errors.Is(err, ebpf.ErrField) {
		t.Errorf("rate: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Attach(over, at, ebpf.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
