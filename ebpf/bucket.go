// SPDX-License-Identifier: Apache-2.0

package ebpf

import "math"

// A bucket's level is counted in units so fine that a nanosecond's gain is a
// whole number: nothing is ever rounded, at any rate and any spacing of packets.
const (
	ByteUnits   = 8e9 // units in a byte, so that 1 bit/s gains 1 unit in 1 ns
	PacketUnits = 1e9 // units in a packet, so that 1 packet/s gains 1 unit in 1 ns
)

// Bucket is the reference token bucket. The kernel runs the same arithmetic
// (kernel/bpf/bucket.h), and a test runs both on the same steps.
type Bucket struct {
	Rate uint64 // units gained in a nanosecond
	Full uint64 // units that it holds at most
	Fill uint64 // nanoseconds in which it fills from nothing, rounded up

	Level uint64 // units held at Last
	Last  uint64 // boot clock, ns
}

// BytesBucket returns the full bucket of w's octets.
func BytesBucket(w Way) Bucket { return newBucket(w.Rate, w.Burst*ByteUnits) }

// PacketsBucket returns the full bucket of w's packets.
func PacketsBucket(w Way) Bucket { return newBucket(w.Packets, w.PacketBurst*PacketUnits) }

func newBucket(rate, full uint64) Bucket {
	b := Bucket{Rate: rate, Full: full, Fill: math.MaxUint64, Level: full}
	if rate > 0 {
		b.Fill = full / rate
		if full%rate != 0 {
			b.Fill++
		}
	}
	return b
}

// Refill credits the time since the last refill. Time that goes back (packets
// on two processors) credits nothing.
func (b *Bucket) Refill(now uint64) {
	if b.Level > b.Full { // the limits were lowered
		b.Level = b.Full
	}
	if now <= b.Last {
		return
	}
	elapsed := now - b.Last
	b.Last = now
	if elapsed >= b.Fill {
		b.Level = b.Full
		return
	}
	// elapsed × Rate < Full here, so the product fits.
	if gain := elapsed * b.Rate; gain < b.Full-b.Level {
		b.Level += gain
	} else {
		b.Level = b.Full
	}
}

// Holds reports whether cost units are there.
func (b *Bucket) Holds(cost uint64) bool { return b.Level >= cost }

// Take removes cost units that Holds has granted.
func (b *Bucket) Take(cost uint64) { b.Level -= cost }

// Meter is one direction's two buckets, charged together or not at all.
type Meter struct{ Packets, Bytes Bucket }

// NewMeter returns w's buckets, both full.
func NewMeter(w Way) Meter { return Meter{PacketsBucket(w), BytesBucket(w)} }

// Charge takes packets and bytes from both buckets at now and returns
// ReasonNone, or takes nothing and returns what was short.
func (m *Meter) Charge(now, packets, bytes uint64) Reason {
	m.Packets.Refill(now)
	m.Bytes.Refill(now)
	switch cost, octets := packets*PacketUnits, bytes*ByteUnits; {
	case !m.Packets.Holds(cost):
		return ReasonPackets
	case !m.Bytes.Holds(octets):
		return ReasonBytes
	default:
		m.Packets.Take(cost)
		m.Bytes.Take(octets)
		return ReasonNone
	}
}

// Set puts other limits in force; the buckets keep what they hold.
func (m *Meter) Set(w Way) {
	next := NewMeter(w)
	next.Packets.Level, next.Packets.Last = m.Packets.Level, m.Packets.Last
	next.Bytes.Level, next.Bytes.Last = m.Bytes.Level, m.Bytes.Last
	*m = next
}
