// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheNextChangeIsTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c calendar
		var oracle bruteCalendar
		for range rapid.IntRange(0, 40).Draw(t, "spans") {
			s := span{drawTerm(t), drawSmall(t)}
			c.add(s)
			oracle = append(oracle, s)
		}
		q := drawTerm(t)
		if next, ok := c.next(q.From); ok {
			for at := q.From + 1; at < next; at++ {
				if oracle.peak(Term{at, at + 1}) != oracle.peak(Term{q.From, q.From + 1}) {
					t.Fatalf("next after %d is %d, but the load changes at %d", q.From, next, at)
				}
			}
		}
	})
}

// What Windows names can be reserved at once, and nothing else can: over random
// books of every mechanism, some alone in their pool, some pools made smaller
// since, so that they owe others what they have not.
func TestWhatWhenNamesCanBeReserved(t *testing.T) {
	reasons := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		size := func(name string) RSet { return RSet{CPU: rapid.Uint64Range(4, 12).Draw(rt, name), Memory: 12} }
		pools := func(epoch string) []PoolRule {
			return []PoolRule{
				{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: size(epoch + " calendar"), PerPrincipal: RSet{CPU: rapid.Uint64Range(5, 12).Draw(rt, "each")},
					PerNetwork: RSet{CPU: rapid.Uint64Range(5, 12).Draw(rt, "network")}, MaxTerm: 60, Ahead: 80, Exclusive: rapid.Bool().Draw(rt, "exclusive")},
				{Pool: PoolCommons, Mechanism: MechanismGang, Capacity: size(epoch + " commons"), MaxTerm: 120, Ahead: 90},
				{Pool: PoolSharp, Mechanism: MechanismSharp, Capacity: size(epoch + " sharp")},
				{Pool: PoolShare, Mechanism: MechanismShare, Capacity: size(epoch + " share"), MaxTerm: 120, Ahead: 90, Notice: 5, Borrow: rapid.Bool().Draw(rt, "borrow")},
			}
		}
		w := newWorld(t, pools("at first")...)
		from := func(name string) Wish {
			pool := rapid.SampledFrom([]Pool{PoolCalendar, PoolCalendar, PoolCommons, PoolShare}).Draw(rt, "pool")
			in := w.ask(name, rapid.Uint64Range(1, 6).Draw(rt, "cpu"), rapid.Int64Range(1, 30).Draw(rt, "seconds"),
				reserved(w.now+rapid.Int64Range(0, 80).Draw(rt, "from"), 0), func(a *Ask) {
					a.Pool, a.RSet[Memory] = pool, rapid.Uint64Range(0, 5).Draw(rt, "memory")
					switch {
					case pool == PoolShare:
						a.Class, a.Weight = Evictable, 1
					case pool == PoolCalendar && rapid.IntRange(0, 3).Draw(rt, "alone") == 0:
						a.Alone = 1
					}
				})
			in.Source = netip.MustParsePrefix(rapid.SampledFrom([]string{"192.0.2.0/24", "198.51.100.0/24"}).Draw(rt, "source"))
			return in
		}
		for range rapid.IntRange(0, 12).Draw(rt, "bookings") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				w.step(Issue{Ref: 1, Holder: agent, RSet: RSet{CPU: rapid.Uint64Range(1, 4).Draw(rt, "cpu")}, Term: Term{w.now, w.now + rapid.Int64Range(20, 90).Draw(rt, "term")},
					Degree: 100, Request: w.fresh()})
			case 1, 2, 3:
				in := from(rapid.SampledFrom(people).Draw(rt, "who"))
				w.step(in)
				if a := w.answer(); a.Refusal == nil {
					w.step(Commit{Ref: 1, Caller: in.Caller, Hold: mustParse(t, a.Statements[0]).ID()})
				}
			default:
				w.step(from(rapid.SampledFrom(people).Draw(rt, "who")))
			}
		}
		if rapid.Bool().Draw(rt, "smaller") {
			w.cfg.Pools = pools("then")
			w.step(Rules{Pools: w.cfg.Pools})
		}
		w.after(rapid.Int64Range(0, 20).Draw(rt, "pass"))
		ask := from("alice") // what of it is asked about
		_, st, _ := storedAs[*Ask](ask.Chain[0])
		q := Vacancy{Pool: st.Pool, By: st.Issuer, Source: ask.Source, RSet: st.RSet, Exclusive: st.Alone != 0,
			Length: rapid.Int64Range(1, 70).Draw(rt, "length"), Within: Term{w.now - 5, w.now + rapid.Int64Range(0, 100).Draw(rt, "within")}}
		list, seen, why := w.l.Windows(q)
		if (len(list) == 0) != (why != nil) {
			rt.Fatalf("windows %v, and why: %v", list, why)
		}
		for at := w.now; at <= q.Within.Until; at++ {
			said := slices.ContainsFunc(list, func(t Term) bool { return (Term{at, at + q.Length}).Within(t) })
			in := w.ask("alice", 0, q.Length, func(a *Ask) {
				id := a.Request
				*a = *st
				a.Request, a.From, a.Until = id, at, at+q.Length
			})
			in.Source = ask.Source
			l := rebuilt(t, w.cfg, w.journal)
			l.Step(time.Unix(w.now, 0), Recover{})
			var refusal *Refusal
			for _, e := range l.Step(time.Unix(w.now, 0), in) {
				if a, ok := e.(Answer); ok {
					refusal = a.Refusal
				}
			}
			if granted := refusal == nil; granted != said {
				rt.Fatalf("from %d for %d s: granted %v, windows %v up to %d: %v", at, q.Length, granted, list, seen, refusal)
			}
			if at == w.now && why != nil {
				if why.Error() != refusal.Error() {
					rt.Fatalf("none for %v, and a wish is refused for %v", why, refusal)
				}
				reasons[why.Code()]++
			}
		}
	})
	if reasons["local:capacity"] == 0 || reasons["local:policy"] == 0 {
		t.Errorf("reasons that were met: %v", reasons)
	}
}

// Why there is none at all is said in the words of a refusal.
func TestNoWindowsForAReason(t *testing.T) {
	w := four(t)
	w.step(Tick{})
	carol := keyOf("carol").Principal()
	plain := Vacancy{Pool: PoolCalendar, By: carol, RSet: RSet{CPU: 10}, Length: 60, Within: Term{w.now, w.now + 3600}}
	w.granted(w.ask("bob", 10, 3660, reserved(w.now, 1)))
	for name, c := range map[string]struct {
		edit func(*Vacancy)
		code string
		text string
	}{
		"alone":      {func(*Vacancy) {}, "local:capacity", "cpu"},
		"no pool":    {func(q *Vacancy) { q.Pool = "attic" }, "local:policy", "no pool attic"},
		"too long":   {func(q *Vacancy) { q.Length = 1 << 62 }, "local:policy", "at most 86400 s"},
		"too early":  {func(q *Vacancy) { q.Within = Term{1 << 62, 1<<62 + 9} }, "local:policy", "ahead"},
		"too late":   {func(q *Vacancy) { q.Within.Until = w.now - 1 }, "local:clock", "last beginning"},
		"no length":  {func(q *Vacancy) { q.Length = 0 }, "local:invalid", "0 s"},
		"tickets":    {func(q *Vacancy) { q.Pool = PoolSharp }, "local:policy", "for tickets"},
		"exclusive":  {func(q *Vacancy) { q.Pool, q.Exclusive = PoolCommons, true }, "local:policy", "alone"},
		"not so big": {func(q *Vacancy) { q.RSet[CPU] = 1001 }, "local:capacity", "cpu"},
	} {
		q := plain
		c.edit(&q)
		list, _, why := w.l.Windows(q)
		if len(list) > 0 || why == nil || why.Code() != c.code || !strings.Contains(why.Text, c.text) {
			t.Errorf("%s: %v, %v", name, list, why)
		}
	}
	w.step(w.capacities(t, "carol", Term{w.now, w.now + 60}))
	if _, _, why := w.l.Windows(plain); why == nil || why.Code() != "local:quarantine" {
		t.Errorf("in quarantine: %v", why)
	}
	w.step(Bar{ReasonClosing})
	if _, _, why := w.l.Windows(plain); why == nil || why.Code() != "local:closing" {
		t.Errorf("barred: %v", why)
	}
}

func TestWindowsAreBounded(t *testing.T) {
	w := newWorld(t, PoolRule{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: RSet{CPU: 10}, Exclusive: true})
	w.step(Tick{})
	pool := w.l.pools[PoolCalendar]
	for i := range int64(2 * MaxWindows) {
		pool.load.add(span{Term{epoch + 100*i, epoch + 100*i + 50}, RSet{CPU: 10}})
	}
	q := Vacancy{Pool: PoolCalendar, RSet: RSet{CPU: 1}, Length: 10, Within: Term{epoch, epoch + 100_000}}
	list, seen, _ := w.l.Windows(q)
	if len(list) != MaxWindows || seen <= list[MaxWindows-1].Until {
		t.Fatalf("%d windows up to %d", len(list), seen)
	}
	for i := range int64(2 * MaxWindowSteps) {
		pool.load.add(span{Term{epoch + i, epoch + i + 1}, RSet{CPU: 10}})
	}
	list, seen, why := w.l.Windows(q)
	if len(list) != 0 || seen > epoch+MaxWindowSteps+q.Length || why == nil {
		t.Fatalf("%v up to %d: %v", list, seen, why)
	}
	levels, seen := w.l.Levels(PoolCalendar, Term{epoch - 1, epoch + MaxTerm})
	if len(levels) > MaxLevels || levels[1].At != epoch || seen <= epoch {
		t.Fatalf("%d levels up to %d", len(levels), seen)
	}
}
