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
