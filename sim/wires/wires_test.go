// SPDX-License-Identifier: Apache-2.0

package wires

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"croft/sim/scenario"
)

const way = 50 * time.Millisecond

// drawn plays many messages from a to b.
func drawn(f *Faults, a, b int) (all []Sent, lost int) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s, arrives := f.Send(a, b, way, rng)
		if !arrives {
			lost++
			continue
		}
		all = append(all, s)
	}
	return all, lost
}

// What is lost comes later, twice as late each time, and so often is what a rate says;
// with all lost nothing comes.
func TestLoss(t *testing.T) {
	const rate = 0.3
	var f Faults
	end := f.Begin(&scenario.Loss{Rate: rate}, nil)
	all, lost := drawn(&f, 0, 1)
	tries := map[int]int{}
	for _, s := range all {
		tries[s.Repeated]++
		waited := (2*way + probe) * (1<<s.Repeated - 1)
		if queue := s.Takes - way - waited; queue < 0 || queue > way/queues+queueLeast {
			t.Fatalf("%d repeats took %v", s.Repeated, s.Takes)
		}
	}
	for n := range 4 {
		want := 20_000 * math.Pow(rate, float64(n)) * (1 - rate)
		if got := float64(tries[n]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("%v came at try %d, of some %.0f", got, n+1, want)
		}
	}
	if want := 20_000 * math.Pow(rate, maxTries+1); math.Abs(float64(lost)-want) > 5*math.Sqrt(want)+1 {
		t.Errorf("%d connections were given up, of some %.1f", lost, want)
	}
	end()
	if all, lost = drawn(&f, 0, 1); lost > 0 || all[0].Repeated > 0 {
		t.Error("the fault is in force beyond its end")
	}
	f.Begin(&scenario.Loss{Rate: 1}, nil)
	if _, lost = drawn(&f, 0, 1); lost != 20_000 {
		t.Errorf("only %d are lost", lost)
	}
}

// A fault strikes the wires of those that it is of, in both directions, and ends alone.
func TestStruck(t *testing.T) {
	one, other := &scenario.Delay{By: time.Second}, &scenario.Delay{By: time.Second} // equal, and two
	var f Faults
	end := f.Begin(one, []bool{true, false, false})
	f.Begin(other, []bool{false, true, false})
	is := func(a, b int, want time.Duration) {
		t.Helper()
		all, _ := drawn(&f, a, b)
		if got := all[0].Takes - way; got < want || got > want+way {
			t.Errorf("%d to %d is struck by %v, want %v", a, b, got, want)
		}
	}
	is(0, 2, time.Second)
	is(2, 0, time.Second)
	is(0, 1, 2*time.Second)
	is(2, 2, 0)
	end()
	is(0, 2, 0)
	is(0, 1, time.Second)
}

// Some are held back behind later ones, some come again, as often as their rates say.
func TestHeldAndTwice(t *testing.T) {
	var f Faults
	f.Begin(&scenario.Reorder{Rate: 0.2, By: time.Second}, nil)
	f.Begin(&scenario.Duplicate{Rate: 0.1}, nil)
	all, _ := drawn(&f, 0, 1)
	held := 0
	for _, s := range all {
		if held += s.Held; s.Held == 1 != (s.Takes > time.Second) {
			t.Fatalf("%+v", s)
		}
	}
	rng, twice := rand.New(rand.NewPCG(3, 4)), 0
	for range 20_000 {
		twice += f.Again(0, 1, rng)
	}
	if math.Abs(float64(held)-4000) > 300 || math.Abs(float64(twice)-2000) > 220 {
		t.Errorf("%d of 20,000 held, %d came twice", held, twice)
	}
}
