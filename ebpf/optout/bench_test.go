// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/leasetest"
)

// full are as many entries as a set has, of as many addresses a network as may be.
func full(b *testing.B) []optout.Entry {
	b.Helper()
	all := make([]optout.Entry, optout.MaxEntries)
	for i := range all {
		all[i] = entry(b, netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)}), noon, time.Hour, "a1", "b1", "c1")
	}
	return all
}

// BenchmarkFullSet: a set of 100,000 entries, as it comes from the disk and from a
// neighbour, what it takes of memory, and what goes over the wire to a latecomer.
func BenchmarkFullSet(b *testing.B) {
	all := full(b)
	each := func(b *testing.B, n int) {
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/entry")
	}
	fill := func(in func(optout.Entry) optout.Input) *optout.Set {
		s := fresh(optout.Config{})
		for _, e := range all {
			s.Step(noon, in(e))
		}
		if s.Len() != len(all) {
			b.Fatalf("%d entries of %d", s.Len(), len(all))
		}
		return s
	}
	kept := func(e optout.Entry) optout.Input { return optout.Kept{Bytes: e.Bytes} }
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	whole := fill(kept)
	size := float64(heap()-before) / float64(len(all))

	b.Run("from disk", func(b *testing.B) {
		for b.Loop() {
			fill(kept)
		}
		each(b, len(all))
		b.ReportMetric(size, "B/entry")
	})
	b.Run("verified", func(b *testing.B) {
		for b.Loop() {
			fill(func(e optout.Entry) optout.Input {
				return optout.Received{Bytes: e.Bytes, From: leasetest.Who("neighbour"), Pulled: true}
			})
		}
		each(b, len(all))
	})
	b.Run("addresses", func(b *testing.B) {
		for b.Loop() {
			whole.Addrs()
		}
	})
	b.Run("pages", func(b *testing.B) {
		pages, bytes := 0, 0
		for b.Loop() {
			entries := 0
			pages, bytes = 0, 0
			for after := (lease.ID{}); ; {
				page, next := whole.Page(optout.Digest{}, after)
				pages++
				entries += len(page)
				for _, e := range page {
					bytes += len(e)
				}
				if after = next; next.IsZero() {
					break
				}
			}
			if entries != len(all) {
				b.Fatalf("%d entries in pages", entries)
			}
		}
		b.ReportMetric(float64(pages), "pages")
		b.ReportMetric(float64(bytes)/1e6, "MB")
	})
}
