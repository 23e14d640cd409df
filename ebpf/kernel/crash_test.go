// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	cebpf "github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

func (w *world) limits(own ebpf.Addresses) ebpf.Limits {
	return ebpf.Limits{Egress: wide, Ingress: wide, Source4: own.Source4, MAC: own.MAC, Deadline: w.Now() + 3600e9}
}

func (w *world) out(at ebpf.Port, own ebpf.Addresses, n int) int {
	return w.Send(at, ebpf.Egress, netip.AddrPortFrom(own.Source4, 5000), ebpftest.Remote, n, 100)
}

// A crash after the epoch is durable and noted, and before it is cleared: its
// rows are not handed over again.
func TestRootCrashBeforeClear(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("s")
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.Up(at)
	w.out(at, own, 5)
	crash := errors.New("crash")
	var first ebpf.Epoch
	if err := w.guard.Drain(t.Context(), func(e ebpf.Epoch) error { first = e; return crash }); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	must(t, w.guard.setControl(controlKept, first.Number))
	w.out(at, own, 2)
	w.Reopen(func() {})
	var got []ebpf.Epoch
	must(t, w.guard.Drain(t.Context(), func(e ebpf.Epoch) error { got = append(got, e); return nil }))
	if len(got) != 1 || got[0].Number != first.Number+1 || got[0].Identity.Recorded != 2 || got[0].Identity.Check() != nil {
		t.Fatalf("%+v", got)
	}
}

// A crash between state and links, and one between the first link and the second.
func TestRootHalfAttachedIsMended(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("half")
	record := guardTenure{Place: uint32(at.Place), Ifindex: uint32(at.IfIndex)}
	copy(record.Sliver[:], at.Sliver)
	copy(record.Netns[:], at.NetNS)
	must(t, w.guard.putState(at, w.limits(own), record))
	must(t, w.guard.hook(at, ebpf.Egress))
	w.Reopen(func() {})
	if names := w.guard.Slivers(); len(names) != 1 || names[0] != "half" {
		t.Fatalf("slivers %v", names)
	}
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.Up(at)
	if n := w.out(at, own, 3); n != 3 {
		t.Fatalf("%d of 3 arrived", n)
	}
	if n := w.Send(at, ebpf.Ingress, ebpftest.Remote, netip.AddrPortFrom(own.Source4, 5000), 3, 100); n != 3 {
		t.Fatalf("%d of 3 arrived", n)
	}
	c, err := w.guard.Counters(t.Context(), "half")
	if err != nil || c.Ingress.PassedPackets != 3 || c.Egress.PassedPackets != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
}

// The veth goes under the guard, as when a namespace is swept; the sliver comes
// back on another.
func TestRootVethIsReplaced(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("moved")
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.in(w.node, func() error {
		dev, err := netlink.LinkByIndex(at.IfIndex)
		if err != nil {
			return err
		}
		return netlink.LinkDel(dev)
	})
	w.Reopen(func() {})
	next, own, _ := w.NewPort("moved")
	must(t, w.guard.Attach(t.Context(), next, w.limits(own)))
	w.Up(next)
	if n := w.out(next, own, 3); n != 3 {
		t.Fatalf("%d of 3 arrived on the new veth", n)
	}
	must(t, w.guard.Detach(t.Context(), "moved"))
}

func TestRootAttachToNoDevice(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("none")
	at.IfIndex = 999999
	if err := w.guard.Attach(t.Context(), at, w.limits(own)); !errors.Is(err, unix.ENODEV) {
		t.Fatalf("attaching to no device: %v", err)
	}
	must(t, w.guard.Detach(t.Context(), "none"))
}

func TestRootLabOpensItsFabricOnly(t *testing.T) {
	w := newWorld(t, Config{Opened: []netip.Prefix{netip.PrefixFrom(ebpftest.Closed.Addr(), 24)}})
	at, own, _ := w.NewPort("lab")
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.Up(at)
	from := netip.AddrPortFrom(own.Source4, 5000)
	if n := w.Send(at, ebpf.Egress, from, ebpftest.Closed, 3, 100); n != 3 {
		t.Fatalf("%d of 3 arrived in the opened range", n)
	}
	must(t, w.guard.Close())
	w.cfg.Opened = nil // and a daemon without the profile closes it again
	w.Reopen(func() {})
	if n := w.Send(at, ebpf.Egress, from, ebpftest.Closed, 3, 100); n != 0 {
		t.Fatalf("%d arrived in the closed range", n)
	}
}

// What is redirected to the node's IFB comes back and arrives.
func TestRootRedirectArrives(t *testing.T) {
	w := newWorld(t, Config{})
	at, own, _ := w.NewPort("ifb")
	w.in(w.node, func() error {
		attrs := netlink.NewLinkAttrs() // a queue of length 0 would drop what does not go at once
		attrs.Name = "ifb7"
		ifb := &netlink.Ifb{LinkAttrs: attrs}
		if err := netlink.LinkAdd(ifb); err != nil {
			return fmt.Errorf("making an IFB: %w", err)
		}
		dev, err := netlink.LinkByName("ifb7")
		if err != nil {
			return err
		}
		at.IFB = dev.Attrs().Index
		return netlink.LinkSetUp(dev)
	})
	must(t, w.guard.Attach(t.Context(), at, w.limits(own)))
	w.Up(at)
	if n := w.out(at, own, 5); n != 5 {
		t.Fatalf("%d of 5 arrived by way of the IFB", n)
	}
	w.in(w.node, func() error {
		dev, err := netlink.LinkByIndex(at.IFB)
		if err != nil {
			return err
		}
		if got := dev.Attrs().Statistics.TxPackets; got != 5 {
			t.Errorf("%d packets went through the IFB, want 5", got)
		}
		return nil
	})
	c, err := w.guard.Counters(t.Context(), "ifb")
	if err != nil || c.Egress.SeenPackets != 5 {
		t.Fatalf("seen %d, want 5 once each: %v", c.Egress.SeenPackets, err)
	}
}

// Packets come on both processors while epochs change: every one is in exactly
// one epoch, and all add up.
func TestRootIdentityUnderTraffic(t *testing.T) {
	l := testLimits()
	l.Egress.Packets, l.Egress.PacketBurst = 1, 30_000 // the rest is dropped
	b := newBench(t, Config{MaxFlows: 4}, ebpf.Port{}, l)
	const senders, rounds, repeat = 2, 400, 100
	var work sync.WaitGroup
	errs := make(chan error, senders+1)
	for s := range senders {
		work.Go(func() {
			for r := range rounds { // more flows than the table holds
				f := udp(uint16(1000*s+r), 53, 4).ip4(sliver4, remote4, 17).out()
				if _, err := b.objects.Egress.Run(&cebpf.RunOptions{Data: f, Repeat: repeat}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	work.Go(func() { // and the node moves bytes for the sliver meanwhile
		for range rounds {
			var wait *ebpf.Wait
			if err := b.Charge(t.Context(), "probe", ebpf.Egress, ebpf.ChannelLogs, 4000); err != nil && !errors.As(err, &wait) {
				errs <- err
				return
			}
		}
	})
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	var sum ebpf.Identity
	keep := func(e ebpf.Epoch) error {
		sum.Seen += e.Identity.Seen
		sum.Recorded += e.Identity.Recorded
		sum.Unrecorded += e.Identity.Unrecorded
		sum.Dropped[ebpf.ReasonPackets] += e.Identity.Dropped[ebpf.ReasonPackets]
		return e.Identity.Check()
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		case err := <-errs:
			t.Fatal(err)
		default:
		}
		must(t, b.Drain(t.Context(), keep))
	}
	must(t, b.Drain(t.Context(), keep))
	c := b.count(ebpf.Egress)
	// A signal makes the kernel start a test run over, so there may be more.
	if sum.Seen < senders*rounds*repeat || c.SeenPackets != sum.Seen || c.PassedPackets != 30_000 ||
		sum.Unrecorded == 0 || sum.Recorded+sum.Unrecorded != c.PassedPackets || sum.Dropped[ebpf.ReasonPackets] != c.Dropped[ebpf.ReasonPackets] {
		t.Fatalf("epochs %+v, counters %+v", sum, c)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
