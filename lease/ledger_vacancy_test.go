// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The oracle looks at every instant.
func (b bruteCalendar) windows(t Term, need, capacity RSet) (list []Term) {
	for at := t.From; at < t.Until; at++ {
		if !b.peak(Term{at, at + 1}).Plus(need).Within(capacity) {
			continue
		}
		if n := len(list); n > 0 && list[n-1].Until == at {
			list[n-1].Until++
		} else {
			list = append(list, Term{at, at + 1})
		}
	}
	return list
}

func TestWindowsAgreeWithBruteForce(t *testing.T) {
	capacity := RSet{CPU: 9, Memory: 9, PortsOut: 4}
	rapid.Check(t, func(t *rapid.T) {
		var c calendar
		var oracle bruteCalendar
		for range rapid.IntRange(0, 40).Draw(t, "spans") {
			s := span{drawTerm(t), drawSmall(t)}
			c.add(s)
			oracle = append(oracle, s)
		}
		q, need := drawTerm(t), drawSmall(t)
		steps := 1000
		got, seen := c.windows(q, need, capacity, &steps)
		if want := oracle.windows(q, need, capacity); !slices.Equal(got, want) || seen != q.Until {
			t.Fatalf("in [%d, %d): got %v up to %d, want %v", q.From, q.Until, got, seen, want)
		}
		if steps = rapid.IntRange(0, 6).Draw(t, "steps"); steps < 1000 { // cut short it says no more than it saw
			got, seen = c.windows(q, need, capacity, &steps)
			if want := oracle.windows(Term{q.From, seen}, need, capacity); !slices.Equal(got, want) {
				t.Fatalf("up to %d: got %v, want %v", seen, got, want)
			}
		}
		if next, ok := c.next(q.From); ok {
			for at := q.From + 1; at < next; at++ {
				if oracle.peak(Term{at, at + 1}) != oracle.peak(Term{q.From, q.From + 1}) {
					t.Fatalf("next after %d is %d, but the load changes at %d", q.From, next, at)
				}
			}
		}
	})
}

// Wherever Windows says that there is room, an ask is granted, and nowhere else.
func TestWindowsAreWhereAsksAreGranted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, PoolRule{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: RSet{CPU: 10}, PerPrincipal: RSet{CPU: 6},
			MaxTerm: 60, Ahead: 80, Exclusive: true})
		for range rapid.IntRange(0, 12).Draw(rt, "bookings") {
			in := w.ask(rapid.SampledFrom(people).Draw(rt, "who"), rapid.Uint64Range(1, 6).Draw(rt, "cpu"), rapid.Int64Range(1, 30).Draw(rt, "seconds"),
				reserved(w.now+rapid.Int64Range(0, 80).Draw(rt, "from"), 0))
			w.step(in)
		}
		w.step(Tick{})
		q := Vacancy{Pool: PoolCalendar, By: keyOf("alice").Principal(), RSet: RSet{CPU: rapid.Uint64Range(1, 7).Draw(rt, "cpu")},
			Length: rapid.Int64Range(1, 70).Draw(rt, "length"), Within: Term{w.now - 5, w.now + rapid.Int64Range(0, 100).Draw(rt, "within")}}
		list, seen := w.l.Windows(q)
		for at := w.now; at <= min(q.Within.Until, seen-q.Length); at++ {
			said := slices.ContainsFunc(list, func(t Term) bool { return (Term{at, at + q.Length}).Within(t) })
			in := w.ask("alice", q.RSet[CPU], q.Length, reserved(at, 0))
			l := rebuilt(t, w.cfg, w.journal)
			l.Step(time.Unix(w.now, 0), Recover{})
			granted := false
			for _, e := range l.Step(time.Unix(w.now, 0), in) {
				if a, ok := e.(Answer); ok {
					granted = a.Refusal == nil
				}
			}
			if granted != said {
				rt.Fatalf("from %d for %d s: granted %v, windows %v up to %d", at, q.Length, granted, list, seen)
			}
		}
	})
}

func TestWindowsAreBounded(t *testing.T) {
	w := newWorld(t, PoolRule{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: RSet{CPU: 10}, Exclusive: true})
	w.step(Tick{})
	pool := w.l.pools[PoolCalendar]
	for i := range int64(2 * MaxWindows) {
		pool.load.add(span{Term{epoch + 100*i, epoch + 100*i + 50}, RSet{CPU: 10}})
	}
	q := Vacancy{Pool: PoolCalendar, RSet: RSet{CPU: 1}, Length: 10, Within: Term{epoch, epoch + 100_000}}
	list, seen := w.l.Windows(q)
	if len(list) != MaxWindows || seen <= list[MaxWindows-1].Until {
		t.Fatalf("%d windows up to %d", len(list), seen)
	}
	for i := range int64(MaxWindowSteps) {
		pool.load.add(span{Term{epoch + i, epoch + i + 1}, RSet{CPU: 10}})
	}
	if list, seen = w.l.Windows(q); len(list) != 0 || seen > epoch+MaxWindowSteps {
		t.Fatalf("%v up to %d", list, seen)
	}
	levels, seen := w.l.Levels(PoolCalendar, Term{epoch - 1, epoch + MaxTerm})
	if len(levels) > MaxLevels || levels[1].At != epoch || seen <= epoch {
		t.Fatalf("%d levels up to %d", len(levels), seen)
	}
}
