// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func square(n int, d time.Duration) [][]time.Duration {
	m := make([][]time.Duration, n)
	for i := range m {
		m[i] = make([]time.Duration, n)
		for j := range m[i] {
			m[i][j] = d
		}
	}
	return m
}

func TestWiresKeepAPacketForTheDistance(t *testing.T) {
	delay := square(3, 0)
	delay[0][1], delay[0][2] = 40*time.Millisecond, 10*time.Millisecond
	w := newWires(delay)
	w.put(0, 0, 1, []byte("far"))
	w.put(5*time.Millisecond, 0, 2, []byte("near"))

	if due, ok := w.next(); !ok || due != 15*time.Millisecond {
		t.Fatalf("next is %v, %v; want 15ms", due, ok)
	}
	if _, _, ok := w.take(15*time.Millisecond - 1); ok {
		t.Fatal("a packet came a nanosecond early")
	}
	for _, want := range []struct {
		at     time.Duration
		to     int
		packet string
	}{{15 * time.Millisecond, 2, "near"}, {40 * time.Millisecond, 1, "far"}} {
		to, packet, ok := w.take(want.at)
		if !ok || to != want.to || string(packet) != want.packet {
			t.Fatalf("at %v: got %q for %d (%v); want %q for %d", want.at, packet, to, ok, want.packet, want.to)
		}
	}
	if _, ok := w.next(); ok || w.bytes != 0 {
		t.Fatalf("empty wires still hold %d bytes", w.bytes)
	}
}

func TestWiresDropWhatDoesNotFitAndCountIt(t *testing.T) {
	w := newWires(square(2, time.Second))
	big := make([]byte, maxFlight/2)
	for i, fits := range []bool{true, true, false} {
		if got := w.put(0, 0, 1, big); got != fits {
			t.Fatalf("packet %d: taken in %v, want %v", i, got, fits)
		}
	}
	if !w.put(0, 1, 0, big) {
		t.Fatal("one full pair closed another")
	}
	if got := w.counts[1]; got.Packets != 2 || got.Dropped != 1 {
		t.Fatalf("counted %+v", got)
	}
	w.take(time.Second)
	if !w.put(time.Second, 0, 1, big) {
		t.Fatal("no room after a packet left")
	}
}

func TestWiresBoundTheWhole(t *testing.T) {
	n := 1
	for n*n*maxFlight <= 2*maxFlightAll {
		n++
	}
	w := newWires(square(n, time.Second))
	big := make([]byte, maxFlight)
	for from := range n {
		for to := range n {
			w.put(0, from, to, big)
		}
	}
	if w.bytes > maxFlightAll || w.bytes < maxFlightAll-maxFlight {
		t.Fatalf("%d bytes in flight; the bound is %d", w.bytes, maxFlightAll)
	}
}

// TestWiresAgainstSorting: whatever goes in comes out once, never early, soonest
// first and in order within its pair.
func TestWiresAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "sites")
		delay := square(n, 0)
		for i := range delay {
			for j := range delay[i] {
				delay[i][j] = time.Duration(rapid.IntRange(0, 50).Draw(t, "delay"))
			}
		}
		w := newWires(delay)
		type key struct{ from, to int }
		sent, got := make(map[key][]byte), make(map[key][]byte)
		due := make(map[uint64]time.Duration)
		var now, last time.Duration
		drain := func() {
			for {
				to, p, ok := w.take(now)
				if !ok {
					return
				}
				id := binary.BigEndian.Uint64(p)
				if due[id] > now || due[id] < last {
					t.Fatalf("packet %d due at %v came at %v, after one due at %v", id, due[id], now, last)
				}
				last = due[id]
				k := key{int(p[8]), to}
				got[k] = append(got[k], p...)
			}
		}
		for id := range uint64(rapid.IntRange(1, 200).Draw(t, "packets")) {
			now += time.Duration(rapid.IntRange(0, 10).Draw(t, "gap"))
			drain()
			k := key{rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")}
			p := append(binary.BigEndian.AppendUint64(nil, id), byte(k.from))
			due[id] = now + delay[k.from][k.to]
			sent[k] = append(sent[k], p...)
			w.put(now, k.from, k.to, p)
		}
		now += 50
		drain()
		if _, ok := w.next(); ok || w.bytes != 0 {
			t.Fatalf("%d bytes stayed in flight", w.bytes)
		}
		for k := range sent {
			if !bytes.Equal(sent[k], got[k]) {
				t.Fatalf("%v: order changed or packets lost", k)
			}
		}
	})
}
