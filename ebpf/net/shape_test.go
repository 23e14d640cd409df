// SPDX-License-Identifier: Apache-2.0

package net

import (
	"encoding/binary"
	"errors"
	"math"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestShapeFor(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		cut  bool
		want shape
		gso  int
	}{
		{1_000_000, true, shape{1_009_333, 3_028, 1_514, 70_000, 18 * time.Millisecond, true}, 3_028},
		{1_000_000, false, shape{1_009_333, 3_028, 1_514, 70_000, 18 * time.Millisecond, false}, 3_028},
		{10_000_000, true, shape{10_093_333, 12_500, 1_514, 70_000, 5 * time.Millisecond, true}, 3_125},
		{100_000_000, true, shape{100_933_333, 125_000, 12_500, 125_000, 5 * time.Millisecond, true}, 31_250},
		{1_000_000_000, true, shape{1_009_333_333, 1_250_000, 125_000, 1_250_000, 5 * time.Millisecond, false}, 65_536},
		{1, true, shapeFor(MinRate, true), minGSO},
	} {
		if got := shapeFor(c.rate, c.cut); got != c.want {
			t.Errorf("%d bit/s: %+v, want %+v", c.rate, got, c.want)
		}
		if got := gsoFor(c.rate); got != c.gso {
			t.Errorf("%d bit/s: packets of %d, want %d", c.rate, got, c.gso)
		}
	}
}

// At no rate may a leaf be too short for a super-packet, two leaves promise more
// than their class has, or L3 octets in full packets exceed the lease.
func TestShapeBounds(t *testing.T) {
	for rate := uint64(1); rate < 1<<40; rate = rate*3 + 1 {
		for _, cut := range []bool{true, false} {
			s := shapeFor(rate, cut)
			if s.Fifo < maxGSO || s.Burst < mtu+etherHeader || s.Quantum < mtu+etherHeader || 2*s.half() > s.Rate {
				t.Errorf("%d bit/s: %+v", rate, s)
			}
			if l3 := s.Rate * mtu / (mtu + etherHeader); l3 > max(rate, MinRate) {
				t.Errorf("%d bit/s: full packets get %d", rate, l3)
			}
		}
	}
	if shapeFor(CutRate, true).Cut == shapeFor(CutRate+1, true).Cut || shapeFor(CutRate, false).Cut {
		t.Error("super-packets are not cut up to CutRate")
	}
	for rate, want := range map[uint64]bool{0: false, 1: true, LinkRate - 1: true, LinkRate: false, LinkRate + 1: false} {
		if shaped(rate) != want {
			t.Errorf("%d bit/s is shaped: %v", rate, !want)
		}
	}
}

func TestMissingIsUnsupported(t *testing.T) {
	err := missing(syscall.ENOENT, "kernel: sch_htb", unshapedRates)
	if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v is not unsupported", err)
	}
	var m *MissingError
	if !errors.As(err, &m) || m.Need != "kernel: sch_htb" || m.Lost == "" {
		t.Errorf("%+v", m)
	}
	if err := missing(syscall.EPERM, "", ""); errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v is called unsupported", err)
	}
	if missing(nil, "", "") != nil || errors.Is(exec.ErrNotFound, errors.ErrUnsupported) {
		t.Error("nothing is missing")
	}
}

// The kernel's arithmetic (__qdisc_calculate_pkt_len) on the table: in units of
// 1,514 to a full packet, what it makes of a length is the L3 octets on the wire.
func TestSizeTable(t *testing.T) {
	b := sizeTable()
	const base, data = 4 + 24, 4 // attribute headers
	if len(b)+4 >= 1<<16 {
		t.Fatalf("%d bytes, no attribute holds them", len(b))
	}
	size := int(binary.NativeEndian.Uint32(b[4+20:]))
	table := b[base+data:]
	if len(table) != 2*size {
		t.Fatalf("%d words, the head says %d", len(table)/2, size)
	}
	word := func(i int) int { return int(binary.NativeEndian.Uint16(table[2*i:])) }
	kernel := func(length int) int {
		if length < size {
			return word(length)
		}
		return word(size-1)*(length/size) + word(length%size)
	}
	for length := 15; length <= mtu+etherHeader; length++ {
		if got, want := float64(kernel(length))*mtu/(mtu+etherHeader), float64(length-etherHeader); math.Abs(got-want) > 0.5 {
			t.Fatalf("a packet of %v octets counts as %v", want, got)
		}
	}
	for payload := 1449; payload <= 65_000; payload++ {
		segments := (payload + 1447) / 1448
		got, want := float64(kernel(etherHeader+52+payload))*mtu/(mtu+etherHeader), float64(payload+52*segments)
		if math.Abs(got-want)/want > 0.03 {
			t.Fatalf("%d octets in %d segments, %v on the wire, count as %v", payload, segments, want, got)
		}
		if payload%1448 == 0 && math.Abs(got-want)/want > 0.002 {
			t.Errorf("%d full segments, %v on the wire, count as %v", segments, want, got)
		}
	}
}

func TestLeaves(t *testing.T) {
	p := plan{places: MaxPlaces}
	seen := map[uint32]bool{htbMajor | strays: true, htbMajor | trial: true, handleOf(strayQueue, 0): true}
	fresh := func(n uint32) {
		t.Helper()
		if seen[n] || n == 0 || n>>16 >= 0x8000 {
			t.Errorf("%x is another's number", n)
		}
		seen[n] = true
	}
	for place := range MaxPlaces {
		id := p.class(place)
		fresh(id)
		fresh(id | sparseLeaf)
		fresh(id | bulkLeaf)
		for _, s := range []shape{shapeFor(10e6, true), shapeFor(1e9, true)} {
			for _, d := range (queue{}).leaves(id, s) {
				if d.handle != handleOf(sparseQueue, id) || s.Cut { // which both forms have
					fresh(d.handle)
				}
			}
		}
	}
}
