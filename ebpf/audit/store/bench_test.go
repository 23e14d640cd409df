// SPDX-License-Identifier: Apache-2.0

package store

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// BenchmarkClosedForm is what closing a segment costs but for the disk.
func BenchmarkClosedForm(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 9))
	var flows []ebpf.Flow
	for range 11_600 {
		at := 1_700_000_000*second + int64(r.IntN(300_000))*millisecond
		flows = append(flows, ebpf.Flow{Sliver: "sa", Proto: 6, Src: netip.AddrPortFrom(sliver.Addr(), uint16(r.Uint32())),
			Dst:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(r.IntN(200)), byte(r.IntN(4)), byte(r.IntN(4)), 1}), 443),
			Packets: uint64(r.IntN(9)), Bytes: uint64(r.IntN(9000)), First: at, Last: at + int64(r.IntN(5000))*millisecond})
	}
	for b.Loop() {
		c := &content{rows: append([]ebpf.Flow(nil), flows...), tenures: audit.Tenures{tenure}}
		sortRows(c.rows)
		tree := c.tree()
		root, _ := tree.Root(tree.Size())
		c.encode(c.segment(1, root))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(flows)), "ns/row")
}
