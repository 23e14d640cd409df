// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// drawWay draws a way over all orders of magnitude.
func drawWay(t *rapid.T) Way {
	scale := func(name string, limit uint64) uint64 {
		return min(rapid.Uint64Range(0, limit).Draw(t, name)>>rapid.UintRange(0, 40).Draw(t, name+" shift"), limit)
	}
	return Way{scale("rate", MaxRate), scale("burst", MaxBurst), scale("packets", MaxPacketRate), scale("packet burst", MaxPacketBurst)}
}

// The promise of Way, computed without bounds: in every window from the start,
// and from every refusal-free prefix, octets ≤ rate/8 × t + burst.
func TestBucketHoldsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWay(t)
		m := NewMeter(w)
		var now, packets, bytes uint64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Uint64Range(0, 1<<40).Draw(t, "dt") >> rapid.UintRange(0, 40).Draw(t, "dt shift")
			n := rapid.Uint64Range(1, 64).Draw(t, "n")
			size := rapid.Uint64Range(20, 1500).Draw(t, "size")
			if m.Charge(now, n, n*size, false) == ReasonNone {
				packets, bytes = packets+n, bytes+n*size
			}
			within(t, "octets", bytes, w.Rate, now, 8e9, w.Burst)
			within(t, "packets", packets, w.Packets, now, 1e9, w.PacketBurst)
		}
	})
}

// within checks passed ≤ rate × t / per + burst in whole numbers.
func within(t *rapid.T, what string, passed, rate, now, per, burst uint64) {
	left := new(big.Int).Mul(big.NewInt(0).SetUint64(passed), big.NewInt(0).SetUint64(per))
	right := new(big.Int).Mul(big.NewInt(0).SetUint64(rate), big.NewInt(0).SetUint64(now))
	right.Add(right, new(big.Int).Mul(big.NewInt(0).SetUint64(burst), big.NewInt(0).SetUint64(per)))
	if left.Cmp(right) > 0 {
		t.Fatalf("%d %s passed in %d ns at %d/s with burst %d", passed, what, now, rate, burst)
	}
}

// Nothing is lost to rounding: a greedy sender of one-packet steps gets all of
// the rate, to the packet.
func TestBucketGivesTheWholeRate(t *testing.T) {
	for _, rate := range []uint64{1, 7, 999, 2000, 1_000_003} {
		m := NewMeter(Way{Rate: MaxRate, Burst: MaxBurst, Packets: rate, PacketBurst: MinPacketBurst})
		passed, step := uint64(0), uint64(1e9)/(rate*3)+1
		const seconds = 3
		for now := uint64(0); now <= seconds*1e9; now += step {
			for m.Charge(now, 1, 100, false) == ReasonNone {
				passed++
			}
		}
		if want := rate*seconds + MinPacketBurst; passed+1 < want || passed > want {
			t.Errorf("%d packets/s: %d passed in %d s, want %d", rate, passed, seconds, want)
		}
	}
}

func TestBucketIgnoresTimeGoingBack(t *testing.T) {
	m := NewMeter(Way{Rate: 8, Burst: 100, Packets: 1, PacketBurst: 1})
	if r := m.Charge(5e9, 1, 1, false); r != ReasonNone {
		t.Fatalf("first packet: %s", r)
	}
	if r := m.Charge(1e9, 1, 1, false); r != ReasonPackets {
		t.Fatalf("packet from the past: %s, want packets", r)
	}
	if r := m.Charge(5e9+999_999_999, 1, 1, false); r != ReasonPackets {
		t.Fatalf("1 ns early: %s, want packets", r)
	}
	if r := m.Charge(6e9, 1, 1, false); r != ReasonNone {
		t.Fatalf("after one second: %s", r)
	}
}

func TestChargeIsBothOrNeither(t *testing.T) {
	m := NewMeter(Way{Rate: 8, Burst: 100, Packets: 1, PacketBurst: 2})
	if r := m.Charge(0, 1, 101, false); r != ReasonBytes {
		t.Fatalf("101 of 100 octets: %s", r)
	}
	if m.Packets.Level != 2*PacketUnits {
		t.Fatalf("a refused packet was charged: level %d", m.Packets.Level)
	}
	if r := m.Charge(0, 3, 10, false); r != ReasonPackets {
		t.Fatalf("3 of 2 packets: %s", r)
	}
	if m.Bytes.Level != 100*ByteUnits {
		t.Fatalf("a refused packet was charged: level %d", m.Bytes.Level)
	}
}

func TestLoweredLimitsCutTheLevel(t *testing.T) {
	m := NewMeter(Way{Rate: 1e9, Burst: 1e6, Packets: 1e6, PacketBurst: 1e6})
	m.Set(Limits{Egress: Way{Rate: 8, Burst: 50, Packets: 1, PacketBurst: 1}}, Egress)
	if r := m.Charge(0, 1, 51, false); r != ReasonBytes {
		t.Fatalf("51 octets after the burst fell to 50: %s", r)
	}
	if r := m.Charge(0, 1, 50, false); r != ReasonNone {
		t.Fatalf("50 octets: %s", r)
	}
}
