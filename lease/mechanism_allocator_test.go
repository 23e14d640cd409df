// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"reflect"
	"strings"
	"testing"
)

// bidden is a node on which others decide about a pool, beside the commons.
func bidden(t testing.TB) *world {
	return newWorld(t,
		PoolRule{Pool: PoolCommons, Mechanism: MechanismGang, Capacity: RSet{CPU: 1000}, MaxTerm: 86400},
		PoolRule{Pool: "auction", Mechanism: MechanismAllocator, Capacity: RSet{CPU: 1000}, PerPrincipal: RSet{CPU: 800}, MaxTerm: 86400})
}

func bid(text string) func(*Ask) { return func(a *Ask) { a.Pool, a.Bid = "auction", text } }

func decided(in Wish, d Decision) Wish {
	in.Decided = &d
	return in
}

// A wish that there is room for is held when it was decided so, and not before.
func TestNothingIsHeldBeforeItIsDecided(t *testing.T) {
	w := bidden(t)
	in := w.ask("alice", 600, 600, bid("12"))
	facts := len(w.journal)
	w.step(in)
	a := w.answer()
	if a.Refusal != nil || len(a.Statements) > 0 || a.Undecided == nil || len(w.journal) != facts || len(w.l.Leases()) != 0 {
		t.Fatalf("%s, %d facts", a, len(w.journal)-facts)
	}
	want := Question{Now: w.now, Rule: a.Undecided.Rule, Op: KindAsk, By: in.Caller, RSet: RSet{CPU: 600}, Term: Term{w.now, w.now + 600}, Free: RSet{CPU: 1000},
		Ask: mustRead(t, in.Chain[0]), Slice: "web", Owner: in.Caller, Bid: "12"}
	if !reflect.DeepEqual(*a.Undecided, want) {
		t.Errorf("%+v, want %+v", *a.Undecided, want)
	}
	w.step(in) // nothing was kept: it is undecided still
	if a := w.answer(); a.Undecided == nil {
		t.Errorf("%s", a)
	}
	hold := w.granted(decided(in, Decision{Said: "at 7"}))
	if e := w.state(hold, Held); e.Said != "at 7" {
		t.Errorf("%+v", e)
	}
	// What was answered is answered again, whatever is decided by then.
	if again := w.granted(decided(in, Decision{Refusal: "outbid"})); again != hold {
		t.Errorf("%s, then %s", hold.Short(), again.Short())
	}
	w.granted(in)
	id := w.granted(Commit{Caller: in.Caller, Hold: hold})
	_, st, err := storedAs[*Lease](w.answer().Statements[0])
	if err != nil || st.Mechanism != MechanismAllocator {
		t.Fatalf("%+v, %v", st, err)
	}
	w.crash()
	if e := w.state(id, Leased); e.Said != "at 7" {
		t.Errorf("after a crash: %+v", e)
	}
}

func mustRead(t *testing.T, b []byte) ID {
	t.Helper()
	o, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}

// Nobody is asked to decide about what cannot be.
func TestNobodyDecidesWhatCannotBe(t *testing.T) {
	w := bidden(t)
	for code, edit := range map[string]func(*Ask){
		"local:capacity": func(a *Ask) { a.RSet[CPU] = 1001 },
		"local:policy":   func(a *Ask) { a.RSet[CPU] = 900 }, // one principal gets 800
		"local:clock":    func(a *Ask) { a.From, a.Until = w.now-600, w.now-1 },
	} {
		w.refused(w.ask("alice", 600, 600, bid("1"), edit), code)
	}
	for _, edit := range []func(*Ask){
		func(a *Ask) { a.Class, a.Weight = Evictable, 1 },
		func(a *Ask) { a.Alone = 1 },
		func(a *Ask) { a.Until += 86400 },
	} {
		w.refused(w.ask("alice", 100, 600, bid("1"), edit), "local:policy")
	}
}

// Whatever is decided, the pool is not given twice, and what is decided of a pool of
// another mechanism has no effect.
func TestADecisionIsNoPromise(t *testing.T) {
	w := bidden(t)
	grant := Decision{}
	w.granted(decided(w.ask("alice", 600, 600, bid("9")), grant))
	w.refused(decided(w.ask("bob", 600, 600, bid("12")), grant), "local:capacity")
	w.granted(decided(w.ask("bob", 400, 600, bid("12")), grant))
	w.refused(decided(w.ask("carol", 1, 600, bid("99")), grant), "local:capacity")
	w.granted(decided(w.ask("carol", 1000, 600), Decision{Refusal: "outbid"})) // the commons' own
	w.refused(decided(w.ask("bob", 1, 600), grant), "local:capacity")
}

// Why not is signed and repeated; what does not print is neither signed nor kept.
func TestRefusalsOfOthers(t *testing.T) {
	w := bidden(t)
	in := w.ask("alice", 600, 600, bid("1"))
	a := w.refused(decided(in, Decision{Refusal: "outbid: the price was 7"}), "local:policy")
	if a.Refusal.Text != "outbid: the price was 7" || len(a.Statements) != 1 {
		t.Errorf("%s", a)
	}
	if again := w.refused(decided(in, Decision{}), "local:policy"); string(again.Statements[0]) != string(a.Statements[0]) {
		t.Errorf("%s, then %s", a, again)
	}
	for _, text := range []string{"\x1b[2Jhello", "a\nb", strings.Repeat("x", MaxText+1), "\xff"} {
		a := w.refused(decided(w.ask("alice", 1, 60, bid("1")), Decision{Refusal: text}), "local:policy")
		if !strings.Contains(a.Refusal.Text, "cannot be told") || len(a.Statements) != 1 {
			t.Errorf("%q: %s", text, a)
		}
		hold := w.granted(decided(w.ask("alice", 1, 60, bid("1")), Decision{Said: text}))
		if e := w.state(hold, Held); e.Said != "" {
			t.Errorf("%q: %+v", text, e)
		}
	}
}
