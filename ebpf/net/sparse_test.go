// SPDX-License-Identifier: Apache-2.0

package net

import (
	stdnet "net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease"

	"github.com/vishvananda/netns"
)

// A flow that keeps within its share loses nothing at the guard while floods of
// several times the lease go both ways, be they heavy in octets or in packets,
// with a shaper behind the guard and without.
//
//	sliver  ══ flood ═▶ guard ═▶ outside    and back
//	        ── asks ──▶       ──▶           answers
func TestRootSparseBesideFloods(t *testing.T) {
	for _, c := range []struct {
		name   string
		octets int
		reason ebpf.Reason
		lacks  map[string]bool
	}{
		{"octets", 1400, ebpf.ReasonBytes, nil},
		{"octets, unshaped", 1400, ebpf.ReasonBytes, map[string]bool{"htb": true}},
		{"packets", 60, ebpf.ReasonPackets, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			n := w.mustOpen(Config{Places: 4, lacks: c.lacks})
			const rate, pps, asked = 4e6, 1000, 200
			s := Sliver{Name: "aaaa", Place: 1, Egress: rate, Ingress: rate, Ports: []lease.Port{{Proto: lease.UDP, Number: 8080, Inside: 80}}}
			g, at, in := guarded(t, w, n, s, documentation...)
			way := ebpf.Way{Rate: rate, Burst: ebpf.MinBurst, Packets: pps, PacketBurst: pps / 4}
			must(t, g.Update(t.Context(), "aaaa", ebpf.Limits{Egress: way, Ingress: way, Deadline: int64(booted() + time.Hour),
				Source4: at.Addresses.Source4, MAC: at.Addresses.MAC}))

			answered := answer(t, w.outside, "192.0.2.2:7000")
			ask := from(t, in, "192.0.2.2:7000")
			for _, f := range []struct {
				ns netns.NsHandle
				to string
			}{{in, "192.0.2.2:9000"}, {w.outside, "192.0.2.1:8080"}} {
				defer drizzle(t, f.ns, f.to, c.octets)()
			}
			over := func(d ebpf.Count) bool { return d.Dropped[c.reason] > 4*d.PassedPackets }
			var last ebpf.Counters
			waitFor(t, "floods of five times the lease", func() bool {
				var err error
				last, err = g.Counters(t.Context(), "aaaa")
				must(t, err)
				return over(last.Egress) && over(last.Ingress)
			})
			before := last
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for range asked {
				<-pace.C
				_, err := ask.Write(make([]byte, 100))
				must(t, err)
			}
			waitFor(t, "as many answers as questions", func() bool { return answered() >= asked })
			var out, back uint64
			waitFor(t, "answers at the guard", func() bool {
				must(t, g.Drain(t.Context(), func(e ebpf.Epoch) error {
					for _, f := range e.Flows {
						if f.Dst == netip.MustParseAddrPort("192.0.2.2:7000") {
							out += f.Packets
						}
						if f.Src == netip.MustParseAddrPort("192.0.2.2:7000") {
							back += f.Packets
						}
					}
					return e.Identity.Check()
				}))
				return back >= asked
			})
			if out != asked || back != asked {
				t.Errorf("the guard let %d questions and %d answers of %d pass", out, back, asked)
			}
			last, err := g.Counters(t.Context(), "aaaa")
			must(t, err)
			t.Logf("meanwhile %d passed and %d were dropped from the sliver, %d and %d towards it",
				last.Egress.PassedPackets-before.Egress.PassedPackets, last.Egress.DroppedPackets()-before.Egress.DroppedPackets(),
				last.Ingress.PassedPackets-before.Ingress.PassedPackets, last.Ingress.DroppedPackets()-before.Ingress.DroppedPackets())
		})
	}
}

// from returns a socket in ns that is connected.
func from(t *testing.T, ns netns.NsHandle, to string) (c stdnet.Conn) {
	t.Helper()
	must(t, within(ns, func() (err error) { c, err = stdnet.Dial("udp4", to); return err }))
	t.Cleanup(func() { c.Close() })
	return c
}

// answer sends every datagram back, and says how many it has.
func answer(t *testing.T, ns netns.NsHandle, at string) (count func() int64) {
	t.Helper()
	var c stdnet.PacketConn
	must(t, within(ns, func() (err error) { c, err = stdnet.ListenPacket("udp4", at); return err }))
	t.Cleanup(func() { c.Close() })
	var n atomic.Int64
	go func() {
		for buf := make([]byte, 2048); ; {
			got, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if _, err := c.WriteTo(buf[:got], from); err == nil {
				n.Add(1)
			}
		}
	}()
	return n.Load
}
