// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewRulesHoldForWhatComes(t *testing.T) {
	w := newWorld(t)
	id := w.run(w.ask("bob", 500, 3600))
	w.step(Rules{Pools: []PoolRule{
		{Pool: PoolCommons, Capacity: RSet{CPU: 1000}, PerPrincipal: RSet{CPU: 300}, MaxTerm: 600},
		{Pool: "own", Capacity: RSet{CPU: 1000}, Only: []Principal{keyOf("alice").Principal()}},
	}, Refused: []Principal{keyOf("carol").Principal()}, HoldFuse: 5, Grace: 7})
	w.has("Changed")
	own := func(a *Ask) { a.Pool = "own" }
	for _, c := range []struct {
		in   Wish
		code string
		text string
	}{
		{w.ask("alice", 301, 600), "local:policy", "one principal gets 300"},
		{w.ask("alice", 100, 601), "local:policy", "at most 600 s"},
		{w.ask("carol", 100, 60), "local:policy", "owner refuses"},
		{w.ask("bob", 100, 60, own), "local:policy", "kept for others"},
		{w.ask("alice", 100, 60, func(a *Ask) { a.Pool = PoolSharp }), "local:policy", ""},
	} {
		if a := w.refused(c.in, c.code); !strings.Contains(a.Refusal.Text, c.text) || len(a.Statements) > 0 && c.text == "owner refuses" {
			t.Errorf("got %v, want %q", a, c.text)
		}
	}
	w.refused(Issue{Holder: keyOf("carol").Principal(), RSet: RSet{CPU: 1}, Term: Term{w.now, w.now + 60}, Degree: 100}, "local:visitor")
	hold := w.granted(w.ask("alice", 1000, 600, own))
	w.after(5)
	w.state(hold, Expired)
	w.state(id, Active)
	w.after(3595)
	w.state(id, Expired)
}

// What one lease may have is the machine's to say, beside what the pools have.
func TestMostOfOneLease(t *testing.T) {
	w := newWorld(t)
	w.l.cfg.Most = RSet{CPU: 400}
	a := w.refused(w.ask("alice", 401, 600), "local:bound")
	if want := "cpu: one lease has at most 400 here, 401 are wanted"; a.Refusal.Text != want {
		t.Errorf("refused with %q, want %q", a.Refusal.Text, want)
	}
	w.run(w.ask("alice", 400, 600))
	if list, _, why := w.l.Windows(Vacancy{By: keyOf("bob").Principal(), Pool: PoolCommons, RSet: RSet{CPU: 401}, Length: 60, Within: Term{w.now, w.now + 600}}); why == nil || why.Code() != "local:bound" {
		t.Errorf("windows %v, %v", list, why)
	}
}

// What does not add is no matter of amounts: each sliver has as much as it wishes
// up to the node's own limit, or to what the owner gave by name.
func TestFanOutOfALease(t *testing.T) {
	w := newWorld(t)
	w.l.cfg.FanOut = 256
	fanOut := func(n uint16) func(*Ask) { return func(a *Ask) { a.FanOut = n } }
	draws := func(n uint16) func(*Redeem) { return func(r *Redeem) { r.FanOut = n } }
	of := func(id ID) uint16 {
		e, _ := w.l.Lease(id)
		l, err := Open(e.Statement)
		if err != nil || e.FanOut != l.Statement.(*Lease).FanOut {
			t.Fatalf("entry %+v of %+v: %v", e, l, err)
		}
		return e.FanOut
	}
	a := w.refused(w.ask("alice", 10, 600, fanOut(257)), "local:bound")
	if want := "fan-out: a lease has at most 256 here, 257 is wanted"; a.Refusal.Text != want {
		t.Errorf("refused with %q, want %q", a.Refusal.Text, want)
	}
	for _, n := range []uint16{0, 1, 256} {
		if got := of(w.run(w.ask("alice", 10, 600, fanOut(n)))); got != n {
			t.Errorf("a lease of %d has %d", n, got)
		}
	}
	plain := w.ticket("bob", 100, 1200)
	w.refused(w.redeem("bob", plain, 0, 10, 600, draws(257)), "local:bound")
	if got := of(w.run(w.redeem("bob", plain, 0, 10, 600, draws(256)))); got != 256 {
		t.Errorf("a lease of 256 has %d", got)
	}
	w.step(Issue{Ref: 1, Holder: keyOf("bob").Principal(), RSet: RSet{CPU: 100}, Term: Term{w.now, w.now + 1200}, Degree: 100, FanOut: 1000, Request: w.fresh()})
	wide := w.answer().Statements
	root, _, err := storedAs[*Capacity](wide[0])
	if err != nil || len(wide) != 2 {
		t.Fatalf("ticket of %d: %v", len(wide), err)
	}
	if again := w.ticket("carol", 100, 1200); bytes.Equal(again[0], wide[0]) {
		t.Errorf("who is given nothing by name stands under capacity %s of a thousand", root.Short())
	}
	w.refused(w.redeem("bob", wide, 0, 10, 600), "local:invalid")
	w.refused(w.redeem("bob", wide, 0, 10, 600, draws(1001)), "local:invalid")
	id := w.run(w.redeem("bob", wide, 0, 10, 600, draws(1000)))
	w.crash()
	if got := of(id); got != 1000 {
		t.Errorf("a lease of 1000 has %d", got)
	}
}

// What a pool that shrank still owes no other pool grants, and what tickets were
// promised is kept.
func TestASmallerPoolKeepsItsWord(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"alice", "bob"} {
		w.run(w.ask(who, 500, 600))
	}
	chain := w.ticket("carol", 600, 1200)
	split := func(commons, sharp uint64) Rules {
		return Rules{Pools: []PoolRule{{Pool: PoolCommons, Capacity: RSet{CPU: commons}, MaxTerm: 86400},
			{Pool: PoolSharp, Capacity: RSet{CPU: sharp, PortsIn: 2}}}}
	}
	w.step(split(0, 2000))
	w.refused(Issue{Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 500}, Term: Term{w.now, w.now + 600}, Degree: 100, Request: w.fresh()}, "local:capacity")
	w.granted(Issue{Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 400}, Term: Term{w.now + 600, w.now + 700}, Degree: 100, Request: w.fresh()})
	w.step(split(2000, 0))
	w.crash()
	w.cfg.Pools = split(2000, 0).Pools
	w.crash()
	w.step(Recover{})
	w.refused(w.ask("dave", 500, 60), "local:capacity")
	w.granted(w.redeem("carol", chain, 0, 600, 600))
	w.refused(Issue{Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 1}, Term: Term{w.now + 10, w.now + 600}, Degree: 100, Request: w.fresh()}, "local:capacity")
}

func TestOneSourceNetworkHasItsLimit(t *testing.T) {
	w := newWorld(t, PoolRule{Pool: PoolCommons, Capacity: RSet{CPU: 1000}, PerPrincipal: RSet{CPU: 300}, PerNetwork: RSet{CPU: 500}})
	from := func(in Wish, addr string) Wish {
		in.Source = Network(netip.MustParseAddr(addr))
		return in
	}
	id := w.run(from(w.ask("alice", 300, 600), "192.0.2.1"))
	w.granted(from(w.ask("bob", 200, 600), "192.0.2.200"))
	w.crash()
	w.step(Recover{})
	if a := w.refused(from(w.ask("carol", 1, 600), "::ffff:192.0.2.77"), "local:policy"); !strings.Contains(a.Refusal.Text, "192.0.2.0/24 has 500") {
		t.Errorf("got %v", a)
	}
	w.granted(from(w.ask("carol", 1, 600), "192.0.3.77"))
	w.granted(w.ask("carol", 299, 600)) // whence is not known
	w.after(30)                         // bob's hold has fallen
	w.granted(from(w.ask("dave", 200, 600), "192.0.2.5"))
	// A renewal from elsewhere counts where the sliver began, and only its rise.
	renew := from(w.ask("alice", 301, 600, func(a *Ask) { a.Replaces = id; a.From = epoch }), "198.51.100.1")
	w.refused(renew, "local:policy")
	w.granted(from(w.ask("alice", 300, 500, func(a *Ask) { a.Replaces = id; a.From = epoch }), "198.51.100.1"))
	w.after(700)
	if len(w.l.networks) != 0 {
		t.Errorf("%d networks are kept when nothing is booked", len(w.l.networks))
	}
}

func TestNetworks(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.9": "192.0.2.0/24", "::ffff:192.0.2.9": "192.0.2.0/24",
		"2001:db8:1:2ff::1": "2001:db8:1:200::/56", "fe80::1%eth0": "fe80::/56"} {
		if got := Network(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s is of %s, want %s", addr, got, want)
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

func TestRulesPrintInAFormThatParses(t *testing.T) {
	alice := keyOf("alice").Principal()
	for _, in := range []Input{
		Rules{},
		Rules{Pools: DefaultPools(RSet{CPU: 4000, Memory: 1 << 30}), HoldFuse: 30, ActivateFuse: 60, Grace: 20},
		Rules{Pools: []PoolRule{{Pool: "own", Capacity: RSet{CPU: 7}, Only: []Principal{alice}, PerNetwork: RSet{Pids: 3}}},
			Refused: []Principal{alice, keyOf("bob").Principal()}},
		Wish{Ref: 1, Caller: alice, Source: netip.MustParsePrefix("2001:db8::/56")},
	} {
		got, err := ParseInput(in.String(), nil)
		if err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"rules", `rules pools="[] []" refused= hold=0 activate=0 grace=0 quarantine=0`, `rules pools="[{\"Size\":1}]" refused= hold=0 activate=0 grace=0 quarantine=0`, `rules pools="[]" refused=x hold=0 activate=0 grace=0 quarantine=0`,
		"wish ref=1 caller=" + alice.String() + " chain= source=x"} {
		if in, err := ParseInput(bad, nil); err == nil {
			t.Errorf("%q: read as %v", bad, in)
		}
	}
}

// TestRulesNeverOverbook changes the rules at random in random histories: as
// long as the pools' sums stay what they are, no more than that is ever owed;
// and a ticket of degree 100 is never refused for want of capacity.
func TestRulesNeverOverbook(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, rt)
		var whole RSet
		for _, rule := range h.cfg.Pools {
			whole = whole.Plus(rule.Capacity)
		}
		for range 60 {
			var in Input
			if h.draw("rules", 0, 5) == 0 {
				rules := Rules{HoldFuse: 5, Grace: 4}
				left := whole
				for i, rule := range h.cfg.Pools {
					for r, v := range left {
						if rule.Capacity[r] = v; v > 0 && i < len(h.cfg.Pools)-1 {
							rule.Capacity[r] = uint64(h.draw("part", 0, int(v)))
						}
					}
					left = left.Minus(rule.Capacity)
					rule.PerPrincipal = RSet{}
					if rule.Pool == PoolShare {
						rule.Borrow = h.draw("borrow", 0, 1) == 1
					}
					rules.Pools = append(rules.Pools, rule)
				}
				in, h.cfg.Pools = rules, rules.Pools
			} else {
				in = h.input()
			}
			h.step(in)
			h.learn(in)
			if wish, ok := in.(Wish); ok && len(wish.Chain) > 1 {
				if a := h.answer(); a.Refusal != nil && a.Refusal.Reason == ReasonCapacity && h.entitled(wish) {
					rt.Fatalf("a ticket was refused: %v", a.Refusal)
				}
			}
			if h.draw("crash", 0, 9) == 0 {
				h.crash()
				h.step(Recover{})
			}
			for at := h.l.now; at < h.l.now+400; at++ {
				if owed := h.l.owes(Term{at, at + 1}); !owed.Within(whole) {
					rt.Fatalf("%s of %s are owed at %d s from now", owed, whole, at-h.l.now)
				}
			}
		}
	})
}

// owes is what all pools must be able to give in a term: what is lent out of
// what tickets have not drawn counts once.
func (l *Ledger) owes(t Term) (all RSet) {
	for _, book := range l.pools {
		owed := book.owed(t)
		for r := range owed {
			if !book.joint() || elastic(Resource(r)) {
				all[r] += owed[r]
			}
		}
	}
	joint := l.joint.peak(t).Max(l.pool(PoolSharp).aside.peak(t))
	for r := range joint {
		if !elastic(Resource(r)) {
			all[r] += joint[r]
		}
	}
	return all
}

// entitled says that a redeem had every right: it replaces nothing, whose room
// in another pool would not be its own.
func (h *history) entitled(wish Wish) bool {
	o, err := read(wish.Chain[len(wish.Chain)-1])
	return err == nil && o.Statement.(*Redeem).Replaces.IsZero()
}

func reloaded(rules []PoolRule, edit func(*PoolRule)) Rules {
	r := Rules{Pools: append([]PoolRule(nil), rules...), Grace: 20}
	for i := range r.Pools {
		edit(&r.Pools[i])
	}
	return r
}

// Who has a pool alone has it alone, whatever becomes of the pool's size.
func TestAloneThroughOtherRules(t *testing.T) {
	w := four(t)
	resize := func(s RSet) Rules {
		return reloaded(w.cfg.Pools, func(r *PoolRule) {
			if r.Pool == PoolCalendar {
				r.Capacity = s
			}
		})
	}
	alone := w.granted(w.ask("bob", 10, 600, reserved(w.now+1000, 1)))
	w.granted(Commit{Caller: keyOf("bob").Principal(), Hold: alone})
	w.step(resize(RSet{CPU: 3000, Pids: 100}))
	w.refused(w.ask("carol", 10, 600, reserved(w.now+1500, 0)), "local:capacity")
	w.refused(w.ask("carol", 10, 600, reserved(w.now+1500, 1)), "local:capacity")
	w.crash()
	w.cfg.Pools = resize(RSet{CPU: 3000, Pids: 100}).Pools
	w.crash()
	w.step(Recover{})
	w.refused(w.ask("carol", 10, 600, reserved(w.now+1500, 0)), "local:capacity")
	w.granted(w.ask("carol", 10, 600, reserved(w.now+1600, 0)))

	pids := w.ask("carol", 10, 600, reserved(w.now+5000, 0), func(a *Ask) { a.RSet = RSet{Pids: 5} })
	w.granted(pids)
	w.step(resize(RSet{CPU: 1000}))
	w.refused(w.ask("bob", 10, 600, reserved(w.now+5000, 1)), "local:capacity")
}

// A pool that ceases to borrow keeps its debt: what it lent goes when a ticket
// needs the room, and so is not given twice.
//
//	memory 1000 sharp, 200 shared: 600 lent │ the rule ends │ a ticket draws 1000
func TestAPoolThatCeasesToBorrowKeepsItsDebt(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	lent := w.run(w.ask("alice", 100, 3600, evictable(8, 600)))
	rules := reloaded(w.cfg.Pools, func(r *PoolRule) { r.Borrow = false })
	w.step(rules)
	w.cfg.Pools = rules.Pools
	w.refused(w.ask("bob", 100, 3600, evictable(8, 1)), "local:capacity") // nothing more is lent
	w.crash()
	w.step(Recover{})
	w.refused(w.ask("bob", 100, 3600, evictable(8, 1)), "local:capacity")
	got := w.granted(w.redeem("dave", chain, 0, 10, 1800, func(r *Redeem) { r.RSet[Memory] = 1000 }))
	if e := w.state(lent, Closing); e.EndsAt != w.now+15 {
		t.Fatalf("it goes at %d, notice is 15 s from %d", e.EndsAt, w.now)
	}
	if e := w.state(got, Held); e.Starts != w.now+15 {
		t.Fatalf("starts %d, now %d", e.Starts, w.now)
	}
	w.after(15)
	w.state(lent, Revoked)
	w.granted(w.ask("bob", 100, 3600, evictable(8, 200))) // its own it may give again
}
