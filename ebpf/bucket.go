// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"math"
	"math/bits"
	"time"
)

// A bucket's level is counted in units so fine that a nanosecond's gain is a
// whole number: nothing is ever rounded, at any rate and any spacing of packets.
const (
	ByteUnits   = 8e9 // units in a byte, so that 1 bit/s gains 1 unit in 1 ns
	PacketUnits = 1e9 // units in a packet or flow, so that 1/s gains 1 unit in 1 ns
)

// Bucket is the reference token bucket. The kernel runs the same arithmetic
// (kernel/bpf/bucket.h), and a test runs both on the same steps.
//
// Sparse flows ([Leaves]) have a share of their own in what it holds, which fills
// at half the rate and which others leave there. It is never more than what is
// held, so what finds room in it passes.
type Bucket struct {
	Rate uint64 // units gained in a nanosecond
	Full uint64 // units that it holds at most
	Fill uint64 // nanoseconds in which it fills from nothing, rounded up
	Keep uint64 // of Full, what is kept for sparse flows

	Level uint64 // units held at Last
	Kept  uint64 // of Level, for sparse flows
	Last  uint64 // boot clock, ns
}

// BytesBucket returns the full bucket of w's octets. As much as [KeepTime] at its
// rate, at least [MinKeep] and at most a quarter, is kept for sparse flows.
func BytesBucket(w Way) Bucket {
	b := newBucket(w.Rate, w.Burst*ByteUnits)
	if w.sparse() {
		b.keep(max(w.Rate*uint64(KeepTime), MinKeep*ByteUnits))
	}
	return b
}

// PacketsBucket returns the full bucket of w's packets. A quarter is kept for
// sparse flows: no queue grows by it.
func PacketsBucket(w Way) Bucket {
	b := newBucket(w.Packets, w.PacketBurst*PacketUnits)
	if w.sparse() {
		b.keep(b.Full)
	}
	return b
}

func (b *Bucket) keep(units uint64) {
	b.Keep = min(units, b.Full/4)
	b.Kept = b.Keep
}

// FlowsBucket returns the full bucket of l's new flows: [FlowBurstTime] at their
// rate and at least [MinFlowBurst]. Without a limit it holds nothing, and nothing
// is taken from it.
func FlowsBucket(l Limits) Bucket {
	if l.FlowsNew == 0 {
		return Bucket{}
	}
	return newBucket(l.FlowsNew, max(l.FlowsNew*uint64(FlowBurstTime)/1e9, MinFlowBurst)*PacketUnits)
}

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

// Refill credits the time since the last refill, at a rate that may be below the
// bucket's. Time that goes back (packets on two processors) credits nothing.
func (b *Bucket) Refill(now, rate uint64) {
	gain := uint64(0)
	if now > b.Last {
		elapsed := now - b.Last
		b.Last = now
		switch {
		case rate >= b.Rate && elapsed < b.Fill:
			gain = elapsed * b.Rate // < Full, so the product fits
		case rate >= b.Rate, rate > 0 && elapsed > b.Full/rate:
			gain = b.Full
		default:
			gain = elapsed * rate
		}
	}
	if b.Level > b.Full || gain >= b.Full-b.Level { // above: the limits were lowered
		b.Level = b.Full
	} else {
		b.Level += gain
	}
	b.Kept = min(b.Kept+gain/2, b.Keep, b.Level)
}

// Holds reports whether cost units are there, and clears sparse when they are not
// in what is kept. Of a full bucket anybody may take all.
func (b *Bucket) Holds(cost uint64, sparse *bool) bool {
	if *sparse && b.Kept >= cost {
		return true
	}
	*sparse = false
	if b.Level == b.Full {
		return b.Level >= cost
	}
	return b.Level-b.Kept >= cost
}

// Take removes cost units that Holds has granted.
func (b *Bucket) Take(cost uint64, sparse bool) {
	b.Level -= cost
	if sparse {
		b.Kept -= cost
	}
	b.Kept = min(b.Kept, b.Level)
}

// Left returns how many units it holds at now, what is kept for sparse flows among
// them.
func (b Bucket) Left(now uint64) uint64 {
	b.Refill(now, b.Rate)
	return b.Level
}

// wait returns when there is room, at that rate, for what is not sparse: what is
// kept fills first.
func (b *Bucket) wait(cost, rate uint64) time.Duration {
	if rate == 0 {
		return Day
	}
	more := cost - (b.Level - b.Kept)
	more += min(more, b.Keep-b.Kept)
	return time.Duration(min(more, b.Full-b.Level)/rate + 1)
}

// Allowance is the bytes of each day. Past [Throttle] hundredths of them the rate
// is what is left of them over what is left of the day.
type Allowance struct {
	Bytes    uint64 // of a whole day; 0: no limit
	From     int64  // boot clock, ns: when the running day began
	Spent    uint64 // of the running day
	Deadline int64  // boot clock, ns: ends the last day early, which has as much less
}

// NewAllowance returns l's, in the day that now lies in, with nothing spent.
func NewAllowance(l Limits, now int64) Allowance {
	a := Allowance{Bytes: l.Daily, From: l.DayFrom, Deadline: l.Deadline}
	a.Roll(now)
	return a
}

// Roll begins the day that now lies in.
func (a *Allowance) Roll(now int64) {
	if gone := now - a.From; gone >= int64(Day) {
		a.From += gone / int64(Day) * int64(Day)
		a.Spent = 0
	}
}

// Today returns the running day's bytes and its end.
func (a *Allowance) Today() (bytes uint64, end int64) {
	bytes, end = a.Bytes, a.From+int64(Day)
	if a.Deadline < end {
		end = a.Deadline
		part := uint64(max(end-a.From, 0))
		hi, lo := bits.Mul64(bytes, part)
		bytes, _ = bits.Div64(hi, lo, uint64(Day)) // part < Day, so it fits
	}
	return bytes, end
}

// Mark returns from how many bytes spent the rest is spread.
func Mark(bytes uint64) uint64 { return bytes/100*Throttle + bytes%100*Throttle/100 }

// Left returns the bytes that are left of the day that now lies in.
func (a Allowance) Left(now int64) uint64 {
	if a.Bytes == 0 {
		return 0
	}
	a.Roll(now)
	bytes, _ := a.Today()
	return bytes - min(a.Spent, bytes)
}

// pace returns the rate in bit/s to which the rest is spread, and whether bytes
// more are in the day.
func (a *Allowance) pace(now, bytes uint64) (rate uint64, ok bool) {
	if a.Bytes == 0 {
		return math.MaxUint64, true
	}
	a.Roll(int64(now))
	all, end := a.Today()
	if a.Spent > all || all-a.Spent < bytes {
		return 0, false
	}
	if a.Spent < Mark(all) || end <= int64(now) {
		return math.MaxUint64, true
	}
	return (all - a.Spent) * 8 / (uint64(end-int64(now))/1e9 + 1), true
}

// Meter is what one direction's packets are charged to, all or nothing. Flows
// and Day are of the direction from the sliver.
type Meter struct {
	Packets, Bytes, Flows Bucket
	Day                   Allowance
}

// NewMeter returns w's buckets, both full, without new flows and day.
func NewMeter(w Way) Meter { return Meter{Packets: PacketsBucket(w), Bytes: BytesBucket(w)} }

// MeterOf returns what l allows in direction d, all full, at now.
func MeterOf(l Limits, d Direction, now int64) Meter {
	if d == Ingress {
		return NewMeter(l.Ingress)
	}
	m := NewMeter(l.Egress)
	m.Flows, m.Day = FlowsBucket(l), NewAllowance(l, now)
	return m
}

// Charge takes packets and bytes at now, and a new flow if fresh, and returns
// ReasonNone; or it takes nothing and returns what was short. None of it is sparse.
func (m *Meter) Charge(now, packets, bytes uint64, fresh bool) Reason {
	none := func() Reason { return ReasonNone }
	return m.ChargeIf(now, packets, bytes, fresh, new(bool), none, none)
}

// ChargeIf is Charge with what is checked between: fanout after new flows, rows
// after the day. Sparse says that the packet's flow is, and is cleared when there
// is not enough in what is kept for such flows.
func (m *Meter) ChargeIf(now, packets, bytes uint64, fresh bool, sparse *bool, fanout, rows func() Reason) Reason {
	m.Packets.Refill(now, m.Packets.Rate)
	if !m.Packets.Holds(packets*PacketUnits, sparse) {
		return ReasonPackets
	}
	fresh = fresh && m.Flows.Full > 0
	if fresh {
		if m.Flows.Refill(now, m.Flows.Rate); m.Flows.Level < PacketUnits {
			return ReasonFlows
		}
	}
	if r := fanout(); r != ReasonNone {
		return r
	}
	rate, ok := m.Day.pace(now, bytes)
	if !ok {
		return ReasonDaily
	}
	if r := rows(); r != ReasonNone {
		return r
	}
	if m.Bytes.Refill(now, rate); !m.Bytes.Holds(bytes*ByteUnits, sparse) {
		return ReasonBytes
	}
	m.Packets.Take(packets*PacketUnits, *sparse)
	m.Bytes.Take(bytes*ByteUnits, *sparse)
	if fresh {
		m.Flows.Take(PacketUnits, false)
	}
	m.Day.Spent += bytes // without a limit too: one that comes later counts them
	return ReasonNone
}

// Set puts other limits in force; buckets and day keep what they hold.
func (m *Meter) Set(l Limits, d Direction) {
	next := MeterOf(l, d, 0)
	for _, b := range []struct{ to, from *Bucket }{{&next.Packets, &m.Packets}, {&next.Bytes, &m.Bytes}, {&next.Flows, &m.Flows}} {
		b.to.Level, b.to.Kept, b.to.Last = b.from.Level, b.from.Kept, b.from.Last
	}
	next.Day.From, next.Day.Spent = m.Day.From, m.Day.Spent
	*m = next
}

// ChargeOrWait is Charge for the host's side: it says when there may be enough.
func (m *Meter) ChargeOrWait(now, packets, bytes uint64, sparse bool) *Wait {
	none := func() Reason { return ReasonNone }
	switch reason := m.ChargeIf(now, packets, bytes, false, &sparse, none, none); reason {
	case ReasonNone:
		return nil
	case ReasonPackets:
		return &Wait{m.Packets.wait(packets*PacketUnits, m.Packets.Rate), reason}
	case ReasonBytes:
		rate, _ := m.Day.pace(now, bytes)
		return &Wait{m.Bytes.wait(bytes*ByteUnits, min(rate, m.Bytes.Rate)), reason}
	default:
		_, end := m.Day.Today()
		return &Wait{time.Duration(end - int64(now)), reason}
	}
}
