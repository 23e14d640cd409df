// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"testing"

	"croft/ebpf"
	"croft/ebpf/ebpftest"
)

func TestRootDrawings(t *testing.T) {
	ebpftest.RunDrawn(t, func(t *testing.T) ebpftest.Bench {
		l := ebpftest.Wide()
		d := &drawn{newBench(t, Config{}, ebpf.Port{}, l), l}
		d.cfg.testClock = true
		d.Tick(ebpftest.Start)
		return d
	})
}

// drawn runs the programs on crafted packets.
type drawn struct {
	*bench
	l ebpf.Limits
}

func (d *drawn) Guard() ebpf.Guard   { return d.bench.Guard }
func (d *drawn) Limits() ebpf.Limits { return d.l }
func (d *drawn) Tick(now int64)      { d.tick(uint64(now)) }

func (d *drawn) Reopen() {
	d.Helper()
	must(d, d.Close())
	g, err := Open(d.cfg)
	must(d, err)
	d.Cleanup(func() { g.Close() })
	d.bench.Guard = g
	d.tick(d.now)
}

func (d *drawn) Judge(way ebpf.Direction, p ebpftest.Packet) ebpf.Reason {
	d.Helper()
	src, dst := p.Local, p.Remote
	if way == ebpf.Ingress {
		src, dst = dst, src
	}
	headers := 20
	if src.Addr().Is6() {
		headers = 40
	}
	var f frame
	switch room := p.Octets - headers; p.Proto {
	case 6:
		f = tcp(src.Port(), dst.Port(), 0x10, room-20)
	case 17:
		f = udp(src.Port(), dst.Port(), room-8)
	case 1:
		f = append(icmp(8, 0, p.Local.Port()), make([]byte, room-8)...)
	case 58:
		f = append(icmp(128, 0, p.Local.Port()), make([]byte, room-8)...)
	}
	if src.Addr().Is6() {
		f = f.ip6(src.Addr(), dst.Addr(), p.Proto)
	} else {
		f = f.ip4(src.Addr(), dst.Addr(), p.Proto)
	}
	if way == ebpf.Egress {
		f = f.out()
	} else {
		f = f.in()
	}
	before := d.count(way)
	d.send(way, f, skb{})
	after := d.count(way)
	for r := range ebpf.Reason(ebpf.NumReasons) {
		if after.Dropped[r] > before.Dropped[r] {
			return r
		}
	}
	if after.PassedPackets != before.PassedPackets+1 {
		d.Fatalf("neither passed nor dropped: %+v", after)
	}
	return ebpf.ReasonNone
}
