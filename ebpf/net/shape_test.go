// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
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
		{10_000_000, true, shape{10_093_333, 3_028, 1_514, 70_000, 5 * time.Millisecond, true}, 3_125},
		{100_000_000, true, shape{100_933_333, 25_000, 12_500, 125_000, 5 * time.Millisecond, true}, 31_250},
		{1_000_000_000, true, shape{1_009_333_333, 250_000, 125_000, 1_250_000, 5 * time.Millisecond, true}, 65_536},
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
