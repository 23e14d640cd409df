// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// standIn does what the guard does on a veth's ingress, by nft's netdev hook:
// it sets the class and sends packets to the IFB.
func standIn(t *testing.T, n *Network, at Attachment, class uint32) {
	t.Helper()
	rule := fmt.Sprintf("meta priority set %x:%x", class>>16, class&0xffff)
	if class == 0 {
		rule = "meta priority set 0:0"
	}
	must(t, load(t.Context(), n.space, fmt.Sprintf(`table netdev guard%[1]d
delete table netdev guard%[1]d
table netdev guard%[1]d { chain in {
	type filter hook ingress device "%[2]s" priority 0;
	%[3]s fwd to %[4]q
}
}
`, at.Guard.Place, n.plan.hostEnd(at.Guard.Place), rule, ifbName)))
}

// send floods one connection until the receiver's interface has counted for
// the time, and returns the bits per second that it counted.
func send(t *testing.T, from, to netns.NsHandle, device, address string) float64 {
	t.Helper()
	var l stdnet.Listener
	must(t, within(to, func() (err error) { l, err = stdnet.Listen("tcp", address); return err }))
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	var c stdnet.Conn
	must(t, within(from, func() (err error) { c, err = stdnet.DialTimeout("tcp", address, 10*time.Second); return err }))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer c.Close()
		buf := make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(buf); err != nil && !errors.Is(err, stdnet.ErrClosed) && !isTimeout(err) {
				return
			}
		}
	}()
	h := handle(t, to)
	count := func() (uint64, time.Time) { return link(t, h, device).Attrs().Statistics.RxBytes, time.Now() }
	wait := func(d time.Duration) { <-time.After(d) }
	wait(time.Second) // start-up and burst
	b0, t0 := count()
	wait(2 * time.Second)
	b1, t1 := count()
	return float64(b1-b0) * 8 / t1.Sub(t0).Seconds()
}

func isTimeout(err error) bool {
	var e stdnet.Error
	return errors.As(err, &e) && e.Timeout()
}

// The bounds are wide: this tells a shaper that works from one that does not.
// How exact it is is for the benchmarks to say.
func TestRootShaping(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	s := Sliver{Name: "aaaa", Place: 1, Egress: 10e6, Ingress: 10e6}
	at, in := running(t, n, s)
	if at.Guard.IFB == 0 || at.Guard.Class != 0xd0008 {
		t.Fatalf("port %+v", at.Guard)
	}
	standIn(t, n, at, at.Guard.Class|bulkLeaf)
	out := func() float64 { return send(t, in, w.outside, "out0", "192.0.2.2:7000") }
	// Towards a sliver over its own connection: it asks, the outside floods.
	into := func() float64 { return flooded(t, w.outside, in) }

	within10 := func(what string, got, want float64) {
		t.Helper()
		t.Logf("%s: %.2f Mbit/s of %.2f", what, got/1e6, want/1e6)
		if got < 0.6*want || got > 1.15*want {
			t.Errorf("%s: %.2f Mbit/s, want about %.2f", what, got/1e6, want/1e6)
		}
	}
	within10("from the sliver", out(), 10e6)
	within10("towards the sliver", into(), 10e6)

	must(t, n.SetRates(t.Context(), "aaaa", 40e6, 20e6))
	within10("from the sliver, changed", out(), 40e6)
	within10("towards the sliver, changed", into(), 20e6)

	must(t, n.SetRates(t.Context(), "aaaa", 0, 0))
	if got := out(); got < 60e6 { // 40 before; what more it is the machine decides
		t.Errorf("from the sliver without limit: %.2f Mbit/s", got/1e6)
	}

	t.Run("strays", func(t *testing.T) {
		listen(t, w.outside, "192.0.2.2:7001")
		if _, err := ask(in, "", "192.0.2.2:7001"); err != nil {
			t.Fatalf("classified: %v", err)
		}
		for _, class := range []uint32{0, 0xc0003, at.Guard.Class, 0xd000d} {
			standIn(t, n, at, class)
			must(t, closed(in, "", "192.0.2.2:7001"))
		}
	})
}

// flooded has the sliver connect and the outside flood.
func flooded(t *testing.T, outside, in netns.NsHandle) float64 {
	t.Helper()
	var l stdnet.Listener
	must(t, within(outside, func() (err error) { l, err = stdnet.Listen("tcp", "192.0.2.2:7002"); return err }))
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 64<<10)
		for err == nil {
			_, err = c.Write(buf)
		}
	}()
	var c stdnet.Conn
	must(t, within(in, func() (err error) { c, err = stdnet.DialTimeout("tcp", "192.0.2.2:7002", 10*time.Second); return err }))
	defer c.Close()
	go io.Copy(io.Discard, c)
	h := handle(t, in)
	count := func() (uint64, time.Time) { return link(t, h, insideDev).Attrs().Statistics.RxBytes, time.Now() }
	<-time.After(time.Second)
	b0, t0 := count()
	<-time.After(2 * time.Second)
	b1, t1 := count()
	return float64(b1-b0) * 8 / t1.Sub(t0).Seconds()
}

func TestRootUnshaped(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	at, _ := running(t, n, Sliver{Name: "aaaa", Place: 0, Ingress: LinkRate})
	if at.Guard.IFB != 0 {
		t.Errorf("port %+v, want no IFB", at.Guard)
	}
	h := handle(t, n.space)
	q := queue{h: h, line: n.line, dev: link(t, h, "cs0")}
	if has, err := q.hasRoot(); has || err != nil {
		t.Errorf("shaped at the rate of the link: %v, %v", has, err)
	}
	if err := n.SetRates(t.Context(), "aaaa", 5e6, 5e6); !errors.Is(err, ErrReattach) {
		t.Errorf("shaped from now on: %v, want %v", err, ErrReattach)
	}
	at, err := n.Add(t.Context(), Sliver{Name: "aaaa", Place: 0, Egress: 5e6, Ingress: 5e6})
	if err != nil || at.Guard.IFB == 0 {
		t.Errorf("port %+v, %v, want an IFB", at.Guard, err)
	}
	if err := n.SetRates(t.Context(), "bbbb", 5e6, 5e6); !errors.Is(err, ErrNoSliver) {
		t.Errorf("no such sliver: %v", err)
	}
	space, err := netns.GetFromPath(at.NetNS)
	must(t, err)
	defer space.Close()
	if got := link(t, handle(t, space), insideDev).Attrs().GSOMaxSize; got != uint32(gsoFor(5e6)) {
		t.Errorf("gso_max_size %d, want %d", got, gsoFor(5e6))
	}
	must(t, n.Remove(t.Context(), "aaaa"))
	if has, err := n.ifb.hasClass(at.Guard.Class); has || err != nil {
		t.Errorf("class is left: %v, %v", has, err)
	}
	if _, err := h.LinkByName("cs0"); !notFound(err) {
		t.Errorf("veth is left: %v", err)
	}
}
