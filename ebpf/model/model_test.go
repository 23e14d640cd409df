// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"
	"testing"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

func TestConformance(t *testing.T) {
	ebpftest.Run(t, func(t *testing.T) ebpftest.World { return newWorld(t) })
}

func TestDrawings(t *testing.T) {
	ebpftest.RunDrawn(t, func(t *testing.T) ebpftest.Bench { return newBench(t) })
}

// world moves packets by asking the kernel for each.
type world struct {
	t     *testing.T
	k     *Kernel
	g     *Guard
	now   int64
	ports int
	up    map[int]bool
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: 1e12, up: map[int]bool{}}
	w.k = NewKernel(w.Now, func() int64 { return w.now + 1e18 }, 7)
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.g, err = Open(w.k, Config{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Guard() ebpf.Guard { return w.g }

func (w *world) Reopen(meanwhile func()) {
	meanwhile()
	w.open()
}

func (w *world) NewPort(sliver string) (ebpf.Port, ebpf.Addresses, netip.Addr) {
	w.ports++
	at := ebpf.Port{Sliver: sliver, Place: w.ports, IfIndex: 10 + w.ports}
	own := ebpf.Addresses{Source4: netip.MustParseAddr(fmt.Sprintf("10.200.%d.2", w.ports)), MAC: [6]byte{2, byte(w.ports)}}
	return at, own, netip.MustParseAddr(fmt.Sprintf("10.200.%d.3", w.ports))
}

func (w *world) Up(at ebpf.Port) { w.up[at.IfIndex] = true }

func (w *world) Send(at ebpf.Port, d ebpf.Direction, from, to netip.AddrPort, n, size int) (arrived int) {
	w.now += 1e6
	for range n {
		if w.up[at.IfIndex] && w.k.Judge(at.IfIndex, d, Packet{Proto: 17, Src: from, Dst: to, Bytes: uint64(size)}) == ebpf.ReasonNone {
			arrived++
		}
	}
	return arrived
}

func (w *world) Now() int64       { return w.now }
func (w *world) Until(boot int64) { w.now = max(w.now, boot) }

type bench struct {
	*world
	l ebpf.Limits
}

func newBench(t *testing.T) *bench {
	b := &bench{newWorld(t), ebpftest.Wide()}
	b.now = ebpftest.Start
	if err := b.g.Attach(t.Context(), ebpf.Port{Sliver: "probe", IfIndex: 1}, b.l); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) Limits() ebpf.Limits { return b.l }
func (b *bench) Reopen()             { b.world.Reopen(func() {}) }
func (b *bench) Tick(now int64)      { b.now = now }

func (b *bench) Judge(d ebpf.Direction, p ebpftest.Packet) ebpf.Reason {
	out := Packet{Proto: p.Proto, Src: p.Local, Dst: p.Remote, Bytes: uint64(p.Octets)}
	if d == ebpf.Ingress {
		out.Src, out.Dst = p.Remote, p.Local
	}
	if question := map[uint8]uint16{1: 8 << 8, 58: 128 << 8}[p.Proto]; question != 0 {
		out.Src, out.Dst = netip.AddrPortFrom(out.Src.Addr(), question), netip.AddrPortFrom(out.Dst.Addr(), p.Local.Port())
	}
	return b.k.Judge(1, d, out)
}
