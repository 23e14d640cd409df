// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// four is a node on which every mechanism has a pool.
func four(t testing.TB) *world {
	return newWorld(t,
		PoolRule{Pool: PoolCommons, Mechanism: MechanismGang, Capacity: RSet{CPU: 1000}, MaxTerm: 86400},
		PoolRule{Pool: PoolSharp, Mechanism: MechanismSharp, Capacity: RSet{CPU: 1000, Memory: 1000, PortsIn: 8}},
		PoolRule{Pool: PoolShare, Mechanism: MechanismShare, Capacity: RSet{CPU: 700, Memory: 200}, MaxTerm: 86400, Notice: 15, Borrow: true},
		PoolRule{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: RSet{CPU: 1000}, MaxTerm: 86400, Ahead: 7 * 86400, NoShow: 120, Exclusive: true})
}

func evictable(weight uint16, memory uint64) func(*Ask) {
	return func(a *Ask) {
		a.Pool, a.Class, a.Weight, a.RSet[Memory] = PoolShare, Evictable, weight, memory
	}
}

func reserved(from int64, alone uint8) func(*Ask) {
	return func(a *Ask) {
		a.Pool, a.Alone = PoolCalendar, alone
		a.Until += from - a.From
		a.From = from
	}
}

func (w *world) shares(ids ...ID) (list []uint64) {
	w.t.Helper()
	for _, id := range ids {
		e, ok := w.l.Lease(id)
		if !ok {
			w.t.Fatalf("%s is gone", id.Short())
		}
		list = append(list, e.Share[CPU])
	}
	return list
}

func (w *world) shared(want []uint64, ids ...ID) {
	w.t.Helper()
	if got := w.shares(ids...); !slices.Equal(got, want) {
		w.t.Fatalf("shares: %v, want %v", got, want)
	}
}

// Three evictable leases of weights 1:2:4 beside hard ones that come and go.
func TestSharesFollowWhatIsIdle(t *testing.T) {
	w := four(t)
	var ids []ID
	for i, who := range people {
		ids = append(ids, w.run(w.ask(who, 4000, 3600, evictable(1<<i, 10))))
		w.has("Begin")
	}
	w.shared([]uint64{528, 1057, 2115}, ids...) // of 3700
	for _, e := range w.out {
		if s, ok := e.(Share); ok && s.RSet[Memory] != 10 {
			t.Fatalf("%s: what the lease keeps is not shared", s)
		}
	}
	hard := w.lease(w.ask("alice", 900, 600))
	w.shared([]uint64{400, 800, 1600}, ids...)
	later := w.granted(w.ask("bob", 600, 300, reserved(w.now+100, 0)))
	w.shared([]uint64{400, 800, 1600}, ids...)
	w.granted(Commit{Caller: keyOf("bob").Principal(), Hold: later})
	w.granted(w.close("alice", hard, w.now))
	w.shared([]uint64{528, 1057, 2115}, ids...)
	w.after(99)
	w.hasNot("Share")
	if at, ok := w.l.NextWake(); !ok || at.Unix() != w.now+1 {
		t.Fatalf("next wake %s: a reservation begins in a second", at)
	}
	w.after(1)
	w.has("Share")
	w.shared([]uint64{442, 885, 1771}, ids...) // of 3100
	w.after(120)
	w.shared([]uint64{528, 1057, 2115}, ids...) // nobody came for it
	w.granted(w.close("carol", ids[2], w.now))
	w.shared([]uint64{1233, 2467}, ids[:2]...)
	w.crash()
	w.step(Recover{})
	for _, e := range w.out {
		if b, ok := e.(Begin); ok && b.Share[CPU] == 0 {
			t.Fatalf("%s: recovery does not say the share", b)
		}
	}
	w.shared([]uint64{1233, 2467}, ids[:2]...)
}

func TestNobodyGetsMoreThanAskedNorLessThanTheFloor(t *testing.T) {
	w := four(t)
	a := w.run(w.ask("alice", 100, 3600, evictable(1000, 10)))
	b := w.run(w.ask("bob", 4000, 3600, evictable(1, 10)))
	c := w.run(w.ask("carol", 9000, 3600, evictable(1000, 10)))
	w.shared([]uint64{100, 10, 3590}, a, b, c)
}

// What tickets have not drawn is lent out, and comes back: the lowest weight
// goes first, of those the youngest, and never one too many.
func TestEvictionMakesRoomForTickets(t *testing.T) {
	w := four(t)
	memory := func(m uint64) func(*Redeem) { return func(r *Redeem) { r.RSet[Memory] = m } }
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	_, capacity, err := storedAs[*Capacity](chain[0])
	if err != nil || capacity.Lead != 15 {
		t.Fatalf("lead of %d s: %v", capacity.Lead, err)
	}

	heavy := w.run(w.ask("alice", 100, 3600, evictable(8, 300)))
	old := w.run(w.ask("bob", 100, 3600, evictable(2, 300)))
	young := w.run(w.ask("carol", 100, 3600, evictable(2, 300)))
	small := w.run(w.ask("carol", 100, 3600, evictable(1, 10)))
	w.refused(w.ask("bob", 100, 3600, evictable(9, 300)), "local:capacity") // 910 of 1200 are taken

	in := w.redeem("dave", chain, 0, 10, 1800, memory(500))
	hold := w.granted(in)
	w.state(heavy, Active)
	w.state(old, Active)
	w.state(small, Active) // it would not have been enough
	e := w.state(young, Closing)
	if e.EndsAt != w.now+15 {
		t.Fatalf("%s goes at %d, notice is 15 s from %d", young.Short(), e.EndsAt, w.now)
	}
	id := w.granted(Commit{Caller: in.Caller, Hold: hold})
	w.granted(Activate{Caller: in.Caller, Lease: id, Program: []byte("probe")})
	w.hasNot("Begin")
	if e := w.state(id, Active); e.Starts != w.now+15 || e.Term.From != w.now {
		t.Fatalf("%+v", e)
	}
	w.crash()
	w.step(Recover{})
	w.after(14)
	w.hasNot("Begin")
	w.after(1)
	w.has("Begin")
	w.has("Finish")
	w.state(young, Revoked)

	// Ahead of time nobody waits: who must go goes when the other comes.
	far := w.redeem("dave", chain, 1, 10, 600, memory(500), func(r *Redeem) { r.From += 900; r.Until += 900 })
	hold = w.granted(far)
	if e := w.state(old, Closing); e.EndsAt != w.now+900 {
		t.Fatalf("%+v", e)
	}
	if e := w.state(hold, Held); e.Starts != 0 {
		t.Fatalf("%+v", e)
	}
}

func TestEvictableHoldsAreEvictedAtOnce(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	ask := w.ask("alice", 100, 3600, evictable(8, 1200))
	hold := w.granted(ask)
	w.granted(w.redeem("dave", chain, 0, 10, 1800, func(r *Redeem) { r.RSet[Memory] = 1000 }))
	w.state(hold, Revoked)
	w.refused(Commit{Caller: ask.Caller, Hold: hold}, "local:state")
}

// A lease that would begin when its term has ended is not granted: who must go
// later than that gives it no room.
func TestNoLeaseStartsWhenItsTermHasEnded(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	id := w.run(w.ask("alice", 100, 3600, evictable(8, 1200)))
	w.granted(w.close("alice", id, w.now+14))
	in := w.redeem("dave", chain, 0, 10, 12, func(r *Redeem) { r.RSet[Memory] = 500 })
	w.refused(in, "local:capacity")
	// A hold that can go at once goes, and is not passed over for one that leaves too late.
	w = four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain = w.answer().Statements
	id = w.run(w.ask("alice", 100, 3600, evictable(8, 600)))
	w.granted(w.close("alice", id, w.now+14))
	hold := w.granted(w.ask("bob", 100, 3600, evictable(8, 600)))
	got := w.granted(w.redeem("dave", chain, 0, 10, 12, func(r *Redeem) { r.RSet[Memory] = 500 }))
	w.state(hold, Revoked)
	if e := w.state(got, Held); e.Starts != 0 {
		t.Fatalf("starts %d, now %d", e.Starts, w.now)
	}
}

func TestReservationsWaitForWhoComes(t *testing.T) {
	w := four(t)
	in := w.ask("alice", 400, 3600, reserved(w.now+1000, 0))
	id := w.lease(in)
	w.after(1119)
	w.state(id, Leased)
	w.after(1)
	w.state(id, Failed)

	in = w.ask("alice", 400, 3600, reserved(w.now+1000, 0))
	id = w.lease(in)
	w.after(1060)
	w.granted(Activate{Caller: in.Caller, Lease: id, Program: []byte("probe")})
	w.has("Begin")

	alone := reserved(w.now+10_000, 1)
	a := w.granted(w.ask("bob", 10, 600, alone))
	w.refused(w.ask("carol", 10, 600, reserved(w.now+10_500, 0)), "local:capacity")
	w.granted(w.ask("carol", 10, 600, reserved(w.now+10_600, 0)))
	w.refused(w.ask("carol", 10, 600, reserved(w.now+10_700, 1)), "local:capacity")
	w.granted(w.ask("carol", 1000, 600, func(a *Ask) { a.From += 10_000; a.Until += 10_000 })) // another pool
	if e := w.state(a, Held); !e.Exclusive {
		t.Fatalf("%+v", e)
	}
}

func TestPoolsRefuseWhatTheirMechanismDoesNotGive(t *testing.T) {
	for name, edit := range map[string]func(*Ask){
		"hard from share":      func(a *Ask) { a.Pool = PoolShare },
		"weight":               func(a *Ask) { a.Pool, a.Class, a.Weight = PoolShare, Evictable, 101 },
		"alone from share":     func(a *Ask) { a.Pool, a.Class, a.Weight, a.Alone = PoolShare, Evictable, 1, 1 },
		"evictable of commons": func(a *Ask) { a.Class, a.Weight = Evictable, 1 },
		"alone in the commons": func(a *Ask) { a.Alone = 1 },
		"evictable, reserved":  func(a *Ask) { a.Pool, a.Class, a.Weight = PoolCalendar, Evictable, 1 },
		"alone, not allowed":   func(a *Ask) { a.Pool, a.Alone = PoolCalendar, 1 },
		"ask of sharp":         func(a *Ask) { a.Pool = PoolSharp },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, DefaultPools(RSet{CPU: 8000, Memory: 8 << 30})...)
			w.refused(w.ask("alice", 100, 600, edit), "local:policy")
		})
	}
}

// liar says whatever suits it.
type liar struct{ terms func(Question) Terms }

func (liar) Name() string              { return "liar" }
func (m liar) Answer(q Question) Terms { return m.terms(q) }

// No mechanism can have the node promise more than it has: invariant 1 is the
// ledger's own.
func TestALyingMechanismOverbooksNothing(t *testing.T) {
	for name, terms := range map[string]func(Question) Terms{
		"charges nothing":  func(q Question) Terms { return Terms{Class: q.Class, Weight: q.Weight, Exclusive: q.Exclusive} },
		"never alone":      func(q Question) Terms { return Terms{Class: q.Class, Weight: q.Weight, Charge: q.RSet} },
		"all is evictable": func(q Question) Terms { return Terms{Class: Evictable, Weight: 1} },
		"charges the sky":  func(q Question) Terms { t := q.plain(); t.Charge[CPU] = 1 << 63; return t },
		"a fuse of years":  func(q Question) Terms { t := q.plain(); t.ActivateBy = 1 << 62; return t },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, PoolRule{Pool: "lab", Mechanism: "liar", Capacity: RSet{CPU: 1000, Memory: 1000}})
			w.cfg.Mechanisms = []Mechanism{liar{terms}}
			w.l = NewLedger(w.cfg)
			rapid.Check(t, func(rt *rapid.T) {
				in := w.ask(rapid.SampledFrom(people).Draw(rt, "who"), rapid.Uint64Range(1, 600).Draw(rt, "cpu"), rapid.Int64Range(1, 200).Draw(rt, "seconds"), func(a *Ask) {
					a.Pool, a.RSet[Memory] = "lab", rapid.Uint64Range(0, 600).Draw(rt, "memory")
					if rapid.Bool().Draw(rt, "evictable") {
						a.Class, a.Weight = Evictable, 1
					} else {
						a.Alone = uint8(rapid.IntRange(0, 1).Draw(rt, "alone"))
					}
				})
				w.step(in)
				if a := w.answer(); a.Refusal == nil {
					o, _ := Open(a.Statements[0])
					w.step(Commit{Caller: in.Caller, Hold: o.ID})
				}
				for at := w.now; at < w.now+200; at += 7 {
					var sum RSet
					alone := 0
					for _, b := range w.l.byAge() {
						if !b.state.Live() || !b.occupies().Covers(at) {
							continue
						}
						keep := b.rset
						if b.class == Evictable {
							keep = keeps(keep)
						}
						sum = sum.Plus(keep)
						alone += 1 + 1000*int(b.alone)
					}
					if !sum.Within(RSet{CPU: 1000, Memory: 1000}) || alone > 1001 {
						rt.Fatalf("at %d: %s are promised of 1000 (%d)", at, sum, alone)
					}
				}
				w.after(rapid.Int64Range(0, 60).Draw(rt, "pass"))
			})
		})
	}
}

func TestQuestionsAndTermsTravel(t *testing.T) {
	w := four(t)
	q := Question{Now: w.now, Rule: w.l.pools[PoolShare].PoolRule, Op: KindAsk, By: nodeKey.Principal(), RSet: RSet{CPU: 50}, Term: Term{1, 2},
		Class: Evictable, Weight: 3, Load: RSet{Memory: 1}, Free: RSet{CPU: 7}}
	for _, m := range builtIn() {
		terms := m.Answer(q)
		b, err := Encode(q)
		var back Question
		if err != nil || Decode(b, &back, 4096) != nil || !reflect.DeepEqual(back, q) {
			t.Fatalf("question: %v: %+v", err, back)
		}
		text, err := json.Marshal(terms)
		var said Terms
		if err != nil || json.Unmarshal(text, &said) != nil || !reflect.DeepEqual(said, terms) {
			t.Fatalf("%s: %s: %v", m.Name(), text, err)
		}
		if text, err = json.Marshal(q); err != nil || !strings.Contains(string(text), `"mechanism":"share"`) {
			t.Fatalf("%s %v", text, err)
		}
	}
}

func TestDivisionIsTheHighestLevelThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := make([]claimant, rapid.IntRange(1, 8).Draw(t, "claimants"))
		var least uint64
		for i := range list {
			c := &list[i]
			c.weight = rapid.Uint64Range(1, 1000).Draw(t, "weight")
			c.most = rapid.Uint64Range(0, 1<<rapid.IntRange(1, 40).Draw(t, "scale")).Draw(t, "most")
			c.least = min(c.most, rapid.Uint64Range(0, 20).Draw(t, "least"))
			least += c.least
		}
		amount := least + rapid.Uint64Range(0, 1<<rapid.IntRange(1, 40).Draw(t, "amounts")).Draw(t, "amount")
		divide(amount, list)
		var sum uint64
		for _, c := range list {
			if sum += c.share; c.share < c.least || c.share > c.most {
				t.Fatalf("%+v", c)
			}
		}
		if sum > amount {
			t.Fatalf("%d of %d", sum, amount)
		}
		for _, a := range list { // whoever could have more has no less by weight than anybody who is above its least
			for _, b := range list {
				if a.share < a.most && b.share > b.least && (a.share+1)*b.weight+a.weight < b.share*a.weight {
					t.Fatalf("%+v has less by weight than %+v of %d", a, b, amount)
				}
			}
		}
		if short := amount - sum; short > uint64(len(list))*1001 { // rounding, and the steps of the level
			for _, c := range list {
				if c.share < c.most {
					t.Fatalf("%d of %d are left and %+v has not got its most", short, amount, c)
				}
			}
		}
	})
}
