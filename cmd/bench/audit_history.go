// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// A history is the made-up record of a node with 64 slivers, reproducible by its
// seed. A third of what it sees are look-ups and scans of one or two small
// packets, most of the rest are requests of some kB, a few are bulk:
//
//	45 %  60–200 B    50 %  median 2.5 kB, log-normal    5 %  60 kB, exponential
//
// Half of the rows are to 2,000 addresses that everybody uses, by Zipf's law, a
// third to 200,000 others, the rest to addresses that are seen once.
type history struct {
	seed  uint64
	rows  int // of a segment
	begin int64
	span  int64
	scan  bool // every packet is a new flow of 40 bytes
	names []string

	rng     *rand.Rand // of the segment that is being made
	popular *rand.Zipf
}

const slivers = 64

func newHistory(seed uint64, rows int, begin, span int64) *history {
	h := &history{seed: seed, rows: rows, begin: begin, span: span}
	for i := range slivers {
		h.names = append(h.names, sliverName(i))
	}
	return h
}

// tenures gives each sliver its place for the whole time.
func (h *history) tenures() (all audit.Tenures) {
	for i := range slivers {
		all = all.Put(audit.Tenure{Sliver: sliverName(i), Slice: fmt.Sprintf("slice-%d@%s", i%16, keyOf(fmt.Sprint("owner ", i%16)).Principal()), Place: i,
			First: uint16(1024 + i*1000), Last: uint16(1024 + i*1000 + 999), From: h.begin - 1})
	}
	return all
}

func sliverName(i int) string { return keyOf(fmt.Sprint("sliver ", i)).Principal().String()[:16] }

func address(n uint32) netip.Addr {
	x := uint64(n)*0x9e3779b97f4a7c15 + 0x1234567
	x ^= x >> 29
	return netip.AddrFrom4([4]byte{byte(x%200) + 11, byte(x >> 16), byte(x >> 24), byte(x >> 32)})
}

// epoch returns what segment n holds, in one epoch. Any of them can be made again.
func (h *history) epoch(n int) ebpf.Epoch {
	h.rng = rand.New(rand.NewPCG(h.seed, uint64(n)))
	h.popular = rand.NewZipf(h.rng, 1.2, 4, 1999)
	from := h.begin + int64(n)*h.span
	e := ebpf.Epoch{Series: 1, Number: uint64(n + 1), At: from + h.span - 1, Flows: make([]ebpf.Flow, h.rows)}
	for i := range e.Flows {
		e.Flows[i] = h.row(from)
		e.Identity.Recorded += e.Flows[i].Packets
	}
	e.Identity.Seen = e.Identity.Recorded
	return e
}

// mean is the bytes that a row stands for.
func (h *history) mean() float64 {
	var bytes, rows float64
	for n := range 20 {
		for _, f := range h.epoch(n * 7).Flows {
			bytes, rows = bytes+float64(f.Bytes), rows+1
		}
	}
	return bytes / rows
}

func (h *history) row(from int64) ebpf.Flow {
	r := h.rng
	var dst netip.Addr
	switch k := r.IntN(6); {
	case h.scan || k == 5:
		dst = address(r.Uint32())
	case k < 3:
		dst = address(uint32(h.popular.Uint64()))
	default:
		dst = address(uint32(10_000 + r.IntN(200_000)))
	}
	who := min(r.IntN(slivers), r.IntN(slivers))
	f := ebpf.Flow{Place: who, Sliver: h.names[who], Proto: 6, TCPFlags: 0x1b,
		Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 200, byte(who >> 6), byte(who&63*4 + 2)}), uint16(32768+r.IntN(28232))),
		Dst: netip.AddrPortFrom(dst, 443), Packets: 1, Bytes: 40}
	kind := r.IntN(100)
	switch {
	case h.scan:
		f.Dst, f.TCPFlags = netip.AddrPortFrom(dst, uint16(r.IntN(1024))), 2
	case kind < 45:
		f.Bytes, f.Packets = uint64(60+r.IntN(141)), uint64(1+r.IntN(2))
		if f.Dst = netip.AddrPortFrom(dst, 53); kind < 35 {
			f.Proto, f.TCPFlags = 17, 0
		} else {
			f.Dst, f.TCPFlags = netip.AddrPortFrom(dst, uint16(r.IntN(1<<16))), 2
		}
	case kind < 95:
		f.Bytes = uint64(2500 * math.Exp(1.2*r.NormFloat64()))
		f.Packets = 4 + f.Bytes/1400
	default:
		f.Bytes = uint64(60_000 * r.ExpFloat64())
		f.Packets = 4 + f.Bytes/1400
	}
	if r.IntN(2) == 0 { // what came back
		f.Direction, f.Src, f.Dst = ebpf.Ingress, f.Dst, f.Src
	}
	f.First = from + r.Int64N(h.span)
	f.Last = f.First + min(int64(f.Packets)*20e6, 5e9)
	return f
}
