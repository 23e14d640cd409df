// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	stdnet "net"
	"net/netip"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/kernel"
	"croft/lease"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// guarded is a sliver with its guard, as a daemon makes it.
func guarded(t *testing.T, w *testWorld, n *Network, s Sliver, opened ...netip.Prefix) (*kernel.Guard, Attachment, netns.NsHandle) {
	t.Helper()
	t.Cleanup(func() { must(t, kernel.Destroy("", w.tag)) })
	g, err := kernel.Open(kernel.Config{Tag: w.tag, Opened: opened, Resolvers: []netip.Addr{Resolver}})
	must(t, err)
	t.Cleanup(func() { g.Close() })
	at, err := n.Add(t.Context(), s)
	must(t, err)
	way := ebpf.Way{Rate: 1e9, Burst: 32 << 20, Packets: 1e6, PacketBurst: 1e6}
	boot := func() int64 {
		var ts unix.Timespec
		must(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
		return ts.Nano()
	}
	must(t, g.Attach(t.Context(), at.Guard, ebpf.Limits{Egress: way, Ingress: way, Deadline: boot() + int64(time.Hour),
		Source4: at.Addresses.Source4, Source6: at.Addresses.Source6, MAC: at.Addresses.MAC}))
	must(t, n.Up(t.Context(), s.Name))
	in, err := netns.GetFromPath(at.NetNS)
	must(t, err)
	t.Cleanup(func() { in.Close() })
	return g, at, in
}

var documentation = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}

// A datagram in fragments: from a sliver none of them leaves, with a reason;
// towards it they arrive whole, and are in one row. The namespaces' connection
// tracking puts fragments together and routing takes them apart again, so that
// the guard sees those that the sliver gets.
func TestRootFragments(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	port := lease.Port{Proto: lease.UDP, Number: 8080, Inside: 80}
	g, at, in := guarded(t, w, n, Sliver{Name: "aaaa", Place: 1, Ports: []lease.Port{port}}, documentation...)
	large := bytes.Repeat([]byte("x"), 4000)

	for _, c := range []struct{ name, out, listen, in, inside string }{
		{"IPv4", "192.0.2.2:7000", "192.0.2.2:7000", "192.0.2.1:8080", at.Addresses.Source4.String() + ":80"},
		{"IPv6", "[2001:db8::2]:7000", "[2001:db8::2]:7000", "[2001:db8::1]:8080", "[" + at.Addresses.Source6.String() + "]:80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			outside, inside := heard(t, w.outside, c.listen), heard(t, in, c.inside)
			write := func(ns netns.NsHandle, to string, b []byte) {
				t.Helper()
				must(t, within(ns, func() error {
					d, err := stdnet.Dial("udp", to)
					if err != nil {
						return err
					}
					defer d.Close()
					_, err = d.Write(b)
					return err
				}))
			}
			before, err := g.Counters(t.Context(), "aaaa")
			must(t, err)
			write(in, c.out, []byte("small"))
			if got := outside(); got != 1 {
				t.Fatalf("%d whole datagrams went out", got)
			}
			write(in, c.out, large)
			if got := outside(); got != 0 {
				t.Errorf("%d fragmented datagrams went out", got)
			}
			write(w.outside, c.in, large)
			if got := inside(); got != 1 {
				t.Errorf("%d fragmented datagrams came in", got)
			}
			after, err := g.Counters(t.Context(), "aaaa")
			must(t, err)
			if dropped := after.Egress.Dropped[ebpf.ReasonFragment] - before.Egress.Dropped[ebpf.ReasonFragment]; dropped != 3 {
				t.Errorf("%d fragments dropped, want 3", dropped)
			}
		})
	}
	rows := 0
	must(t, g.Drain(t.Context(), func(e ebpf.Epoch) error {
		for _, f := range e.Flows {
			if f.Proto == ebpf.ProtoFragment && f.Direction == ebpf.Ingress {
				rows++
				if f.Packets != 6 {
					t.Errorf("%d fragments are in the row, want 6", f.Packets)
				}
			}
		}
		return e.Identity.Check()
	}))
	if rows != 1 {
		t.Errorf("%d rows of fragments", rows)
	}
}

// What is closed stays closed behind a guard and a network as a daemon makes
// them, in every form in which IPv6 hides an address; what is opened is opened as
// itself. The node's own addresses never are, but for leased public ports.
func TestRootClosedByDefault(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	g, _, in := guarded(t, w, n, Sliver{Name: "aaaa", Place: 1})
	listen(t, w.outside, "[::]:7000")
	listen(t, w.host, "[::]:9000")
	_, other := running(t, n, Sliver{Name: "bbbb", Place: 2, Ports: []lease.Port{{Proto: lease.TCP, Number: 8080, Inside: 80}}})
	listen(t, other, "[::]:80")

	closedCount := func() uint64 {
		t.Helper()
		c, err := g.Counters(t.Context(), "aaaa")
		must(t, err)
		return c.Egress.Dropped[ebpf.ReasonClosed]
	}
	for _, to := range []string{
		"192.0.2.2:7000", "[2001:db8::2]:7000", "10.0.0.1:80", "100.64.0.1:80", "169.254.169.254:80", "172.16.0.1:80", "192.168.0.1:80",
		"198.18.0.1:80", "198.19.0.18:80", "224.0.0.1:80", "[64:ff9b::10.0.0.1]:80", "[64:ff9b::169.254.169.254]:80", "[64:ff9b:1::1]:80",
		"[2002:a00:1::1]:80", "[2002:c0a8:1::1]:80", "[2001:0:1::1]:80", "[fd00:ec2::254]:80", "[fec0::1]:80", "[100::1]:80", "169.254.53.53:80",
	} {
		before := closedCount()
		datagrams(t, in, to, 1)
		waitFor(t, to+" to be dropped as closed", func() bool { return closedCount() == before+1 })
	}
	must(t, closed(in, "", "192.0.2.2:7000"))
	must(t, closed(in, "", "[2001:db8::2]:7000"))

	must(t, g.Close())
	g, err := kernel.Open(kernel.Config{Tag: w.tag, Opened: documentation, Resolvers: []netip.Addr{Resolver}})
	must(t, err)
	t.Cleanup(func() { g.Close() })
	for _, to := range []string{"192.0.2.2:7000", "[2001:db8::2]:7000", "192.0.2.1:8080", "[2001:db8::1]:8080"} {
		if _, err := ask(in, "", to); err != nil {
			t.Errorf("%s is opened: %v", to, err)
		}
	}
	for _, to := range []string{"192.0.2.1:9000", "[2001:db8::1]:9000", n.plan.host4().String() + ":9000", n.plan.sliver4(2).String() + ":80"} {
		must(t, closed(in, "", to))
	}
}
