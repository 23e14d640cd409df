// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history drives a small world at random: three people, two pools, tickets,
// which they pass on without regard to what they may, renewals, closes,
// revocations, repeats of anything said before, and a clock that also goes back.
type history struct {
	*world
	rt      *rapid.T
	said    []Input
	tickets [][][]byte
	proofs  [][]byte
	owner   map[ID]string
	market  bool // of tickets rather than of asks
	lending bool // most wishes are evictable or redeemed, and most of them go through
	honest  bool // nobody promises more than it may
	books   map[ID][]Opened
	tried   map[ID]bool    // refusals that were looked at
	sorts   map[string]int // of them
}

var people = []string{"alice", "bob", "carol"}

func newHistory(t *testing.T, rt *rapid.T) *history {
	w := newWorld(t,
		PoolRule{Pool: PoolCommons, Capacity: RSet{CPU: 10, PortsIn: 3}, PerPrincipal: RSet{CPU: 6}, MaxTerm: 100},
		PoolRule{Pool: PoolSharp, Capacity: RSet{CPU: 10, PortsIn: 3, Memory: 6}, Mechanism: MechanismSharp, MaxTerm: 100},
		PoolRule{Pool: PoolShare, Capacity: RSet{CPU: 40, Memory: 2}, Mechanism: MechanismShare, MaxTerm: 100, MaxWeight: 4, Notice: 6, Borrow: true},
		PoolRule{Pool: PoolCalendar, Capacity: RSet{CPU: 10, PortsIn: 1}, Mechanism: MechanismCalendar, MaxTerm: 100, Ahead: 60, NoShow: 9, Exclusive: true},
		PoolRule{Pool: "auction", Capacity: RSet{CPU: 10, PortsIn: 1}, Mechanism: MechanismAllocator, MaxTerm: 100})
	w.cfg.HoldFuse, w.cfg.ActivateFuse, w.cfg.Grace, w.cfg.Quarantine = 5, 7, 4, 15
	w.cfg.Ports = PortRange{First: 5000, Last: 5003}
	w.l = NewLedger(w.cfg)
	h := &history{world: w, rt: rt, owner: make(map[ID]string), tried: make(map[ID]bool), sorts: make(map[string]int)}
	h.market, h.honest, h.books = rapid.Bool().Draw(rt, "market"), rapid.Bool().Draw(rt, "honest"), make(map[ID][]Opened)
	return h
}

func (h *history) draw(label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(h.rt, label)
}

// input draws what happens next.
func (h *history) input() Input {
	who := rapid.SampledFrom(people).Draw(h.rt, "who")
	entries := h.l.Leases()
	if !h.lending && len(h.tickets) > 0 {
		for range h.draw("pass on", 0, 4) / 2 {
			h.passOn()
		}
	}
	if (h.market || h.lending) && len(h.tickets) == 0 {
		return h.issue(who)
	}
	if h.lending && h.draw("on", 0, 3) > 0 {
		for _, e := range entries { // what was begun goes on
			switch e.State {
			case Held:
				return Commit{Ref: 1, Caller: e.Holder, Hold: e.Hold}
			case Leased:
				return Activate{Ref: 1, Caller: e.Holder, Lease: e.Lease, Program: []byte("probe")}
			}
		}
	}
	what := h.draw("what", 0, 15)
	if h.market && what < 4 {
		what = 4
	}
	switch {
	case what < 4:
		in := h.ask(who, uint64(h.draw("cpu", 1, 6)), 0, func(a *Ask) {
			var ports int
			a.From, a.Until, a.Replaces, ports = h.term(who, entries)
			pool := h.draw("pool", 0, 5)
			if h.lending {
				pool /= 5
			}
			switch pool {
			case 0, 1:
				a.Pool, a.Class, a.Weight = PoolShare, Evictable, uint16(h.draw("weight", 1, 4))
				a.RSet, ports = RSet{CPU: uint64(h.draw("most", 5, 60)), Memory: uint64(h.draw("memory", 1, 4))}, 0
			case 2:
				a.Pool, a.Alone = PoolCalendar, uint8(h.draw("alone", 0, 3)/3)
				ports = 0
			case 3:
				a.Pool, a.Bid = "auction", "7"
			}
			a.RSet[PortsIn] = uint64(ports)
			for i := range ports {
				a.Ports = append(a.Ports, Port{Proto: UDP, Inside: uint16(80 + i)})
			}
		})
		switch h.draw("decided", 0, 3) { // whatever pool it is about
		case 0:
			in.Decided = &Decision{Refusal: "outbid"}
		case 1, 2:
			in.Decided = &Decision{Said: "at 7"}
		}
		return in
	case what < 7 && len(h.tickets) > 0:
		chain := h.tickets[h.draw("ticket", 0, len(h.tickets)-1)]
		who = h.holder(chain)
		if in := h.drawOn(who, chain, entries); h.signs(chain, in.Chain[len(chain)]) {
			return in
		}
	case what == 7:
		return h.issue(who)
	case what < 13 && len(entries) > 0:
		e := entries[h.draw("entry", 0, len(entries)-1)]
		who = h.owner[e.Hold]
		switch e.State {
		case Held:
			return Commit{Ref: 1, Caller: e.Holder, Hold: e.Hold}
		case Leased:
			return Activate{Ref: 1, Caller: e.Holder, Lease: e.Lease, Program: []byte("probe")}
		}
		claim := e.Lease
		if claim.IsZero() {
			claim = e.Hold
		}
		switch h.draw("end", 0, 5) {
		case 0:
			return h.close(who, claim, h.now+int64(h.draw("later", 0, 5)))
		case 1:
			return Recall{Ref: 1, Lease: claim}
		case 2:
			return Gone{Lease: claim}
		}
	case what == 14 && len(h.proofs) > 0:
		return Accuse{Ref: 1, Proof: rapid.SampledFrom(h.proofs).Draw(h.rt, "proof")}
	case what == 13 && len(h.said) > 0:
		return rapid.SampledFrom(h.said).Draw(h.rt, "again")
	}
	h.now += int64(h.draw("seconds", -2, 12))
	if h.draw("age", 0, 60) == 0 {
		h.now += RequestKept
	}
	return Tick{}
}

func (h *history) issue(who string) Issue {
	amount := RSet{CPU: uint64(h.draw("cpu", 2, 7))}
	if h.lending {
		amount[Memory] = uint64(h.draw("memory", 4, 6))
	}
	return Issue{Ref: 1, Holder: keyOf(who).Principal(), RSet: amount,
		Term: Term{h.now, h.now + int64(h.draw("seconds", 30, 120))}, Degree: min(uint16(h.draw("degree", 2, 6))*50, 200), Request: h.fresh()}
}

// term draws a term, and half of the time a lease to replace.
func (h *history) term(who string, entries []Entry) (from, until int64, replaces ID, ports int) {
	from = h.now + int64(h.draw("from", -3, 15))
	until = from + int64(h.draw("seconds", 1, 50))
	ports = h.draw("ports", 0, 2)
	if h.draw("renew", 0, 1) == 0 {
		for _, e := range slices.Backward(entries) {
			if e.State == Active && h.owner[e.Hold] == who {
				return min(max(from, e.Term.From), e.Term.Until), max(until, e.Term.Until+1), e.Lease, ports
			}
		}
	}
	return from, until, ID{}, ports
}

// learn remembers who owns what was answered.
func (h *history) learn(in Input) {
	h.said = append(h.said, in)
	for _, e := range h.out {
		if p, ok := e.(Proved); ok {
			h.proofs = append(h.proofs, p.Proof)
		}
		if a, ok := e.(Answer); ok && a.Refusal == nil {
			switch in := in.(type) {
			case Issue:
				if !slices.ContainsFunc(h.tickets, func(c [][]byte) bool { return string(c[1]) == string(a.Statements[1]) }) {
					h.tickets = append(h.tickets, a.Statements)
				}
			case Wish:
				if a.Undecided != nil {
					continue
				}
				o, _ := read(a.Statements[0])
				for _, name := range people {
					if keyOf(name).Principal() == in.Caller {
						h.owner[o.ID] = name
					}
				}
			}
		}
	}
}

// executor is what carries out effects: the slivers that run, by name, and what
// is in force of those that share.
type executor map[string]runs

type runs struct {
	lease ID
	share RSet
}

func (h *history) do(x executor, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Begin:
			x[e.Sliver] = runs{e.Lease, e.Share}
		case Continue:
			if _, ok := x[e.Sliver]; !ok {
				h.rt.Fatalf("%s, which does not run", e)
			}
			x[e.Sliver] = runs{e.Lease, e.Share}
		case Share:
			if x[e.Sliver].lease != e.Lease {
				h.rt.Fatalf("%s, under which nothing runs", e)
			}
			x[e.Sliver] = runs{e.Lease, e.RSet}
		case Finish:
			delete(x, e.Sliver)
		}
	}
}

// check holds the invariants of the design against what can be read from
// outside, by brute force per instant.
func (h *history) check(x executor) {
	l, now := h.l, h.l.Now()
	running := make(executor)
	live := []*booking{}
	for _, b := range l.byAge() {
		if !b.state.Live() {
			continue
		}
		live = append(live, b)
		if !b.lease.IsZero() && b.continues == b.replaces.IsZero() {
			h.rt.Fatalf("lease %s replaces %s and yet does not continue it", b.lease.Short(), b.replaces.Short())
		}
		e := b.entry()
		if e.Term.Until <= now || b.state == Held && e.CommitBy <= now || b.state == Leased && e.ActivateBy <= now || b.state == Closing && e.EndsAt <= now {
			h.rt.Fatalf("at %d this is still live: %+v", now, e)
		}
		if b.begun(now) {
			running[e.Sliver] = runs{e.Lease, e.Share}
		}
	}
	if fmt.Sprint(x) != fmt.Sprint(running) {
		h.rt.Fatalf("at %d there run\n%v, and leases say\n%v", now, x, running)
	}
	// 1: never over capacity, and the calendar says just what brute force says.
	for at := now; at < now+130; at++ {
		var lent, lending RSet
		for _, rule := range l.Pools() {
			sum := h.booked(live, rule.Pool, at)
			if l.pool(rule.Pool).joint() {
				lent, lending = lent.Plus(sum), lending.Plus(rule.Capacity)
			}
			for r := range sum {
				if sum[r] > rule.Capacity[r] && !(rule.Borrow && !elastic(Resource(r))) {
					h.rt.Fatalf("pool %s at %d: %s of %s", rule.Pool, at, sum, rule.Capacity)
				}
			}
			if free := l.Free(rule.Pool, Term{at, at + 1}); !rule.Borrow && free != rule.Capacity.Minus(sum) {
				h.rt.Fatalf("pool %s at %d: %s are free, brute force says %s", rule.Pool, at, free, rule.Capacity.Minus(sum))
			}
		}
		if !lent.Within(lending) {
			h.rt.Fatalf("at %d: %s of %s are lent and drawn", at, lent, lending)
		}
	}
	h.checkShares(live, now)
	h.checkSlivers(now)
	// No public port is used by two slivers at once.
	for i, a := range live {
		for _, b := range live[:i] {
			if a.old == b || b.old == a || !a.span().Overlaps(b.span()) {
				continue
			}
			for _, p := range a.chosen {
				if slices.ContainsFunc(b.chosen, func(q Port) bool { return p.Proto == q.Proto && p.Number == q.Number }) {
					h.rt.Fatalf("port %v is leased twice", p)
				}
			}
		}
	}
	h.checkTree()
	if h.honest && len(l.Proofs()) > 0 {
		h.rt.Fatalf("everybody is honest, and yet: %+v", l.Proofs()[0].Verdict)
	}
	h.checkEvictions()
}

// booked is what a pool is charged at an instant, by brute force: a hard lease
// what it gives, an evictable one what it keeps, one that is alone the pool.
func (h *history) booked(live []*booking, pool Pool, at int64) (sum RSet) {
	charge := func(b *booking) RSet {
		switch {
		case b.class == Evictable:
			return keeps(b.rset)
		case b.alone != 0:
			return h.l.pool(b.pool).Capacity
		}
		return b.rset
	}
	for _, b := range live {
		if b.pool != pool || !b.occupies().Covers(at) {
			continue
		}
		amount := charge(b)
		if b.lease.IsZero() && b.old != nil && b.old.pool == b.pool && b.old.occupies().Covers(at) {
			amount = amount.Minus(charge(b.old)) // the two at their maximum
		}
		sum = sum.Plus(amount)
	}
	return sum
}

// checkShares holds that what is divided is there, and that nobody's share
// leaves its own bounds.
func (h *history) checkShares(live []*booking, now int64) {
	var idle, sum RSet
	for _, rule := range h.l.Pools() {
		idle = idle.Plus(rule.Capacity)
		for _, b := range live {
			if b.pool == rule.Pool && b.class == Hard && b.occupies().Covers(now) {
				idle = idle.Minus(h.booked([]*booking{b}, rule.Pool, now))
			}
		}
	}
	for _, b := range live {
		if b.class != Evictable || !b.begun(now) {
			continue
		}
		if !b.share.Within(b.rset) || !keeps(b.rset).Within(b.share) {
			h.rt.Fatalf("share %s of %s", b.share, b.rset)
		}
		sum = sum.Plus(b.share)
	}
	for r := range sum {
		if elastic(Resource(r)) && sum[r] > idle[r] {
			h.rt.Fatalf("at %d shares of %s are given of %s", now, sum, idle)
		}
	}
}

// checkEvictions holds, against the journal alone, that every revoke kept the
// grace that its lease states, and that nothing began later than by the lead.
func (h *history) checkEvictions() {
	grace := make(map[ID]int64)
	for _, f := range h.journal {
		switch f.K {
		case FactCommitted:
			id, st, _ := storedAs[*Lease](f.Signed)
			grace[id] = int64(st.Grace)
		case FactAnnounced:
			if _, st, _ := stored(f.Signed); st.Kind() == KindRevoke {
				if r := st.(*Revoke); r.At-r.Said < grace[r.Claim] {
					h.rt.Fatalf("%s was revoked with %d s of %d", r.Claim.Short(), r.At-r.Said, grace[r.Claim])
				}
			}
		case FactHeld:
			_, st, _ := storedAs[*Hold](f.Signed)
			if f.Allotted != nil && f.Allotted.Starts > max(st.From, f.At)+6 {
				h.rt.Fatalf("a lease from %d on starts at %d", st.From, f.Allotted.Starts)
			}
		}
	}
}

// Invariants 1, 3 and 5 of the design, and that every hold and lease ends in time.
func TestLedgerUnderRandomHistories(t *testing.T) {
	reached := make(map[string]int)
	want := []string{"exhausted", "oversubscribed", "over-issued", "local:slot", "local:quarantine"}
	for _, s := range []State{Held, Leased, Active, Closing, Closed, Expired, Revoked, Failed} {
		want = append(want, s.String())
	}
	until(t, reached, want, func(rt *rapid.T) {
		h := newHistory(t, rt)
		h.sorts = reached
		h.live(func(Input) {
			for _, e := range h.l.Leases() {
				reached[e.State.String()]++
			}
		})
	})
}

// The same, of histories in which evictable leases live on what tickets have not
// drawn, and must make room.
func TestLendingUnderRandomHistories(t *testing.T) {
	reached := make(map[string]int)
	until(t, reached, []string{"share", "eviction", "late"}, func(rt *rapid.T) {
		h := newHistory(t, rt)
		h.market, h.lending = false, true
		h.live(func(in Input) {
			for _, e := range h.out {
				switch e := e.(type) {
				case Share:
					reached["share"]++
				case Fact:
					if e.K == FactHeld && e.Allotted != nil && e.Allotted.Starts > 0 {
						reached["late"]++
					}
					if _, wish := in.(Wish); wish && e.K == FactAnnounced {
						reached["eviction"]++
					}
				}
			}
		})
	})
}

// until has histories drawn, a few hundred more if need be, until each of want
// was reached: a test that did not shows nothing of it.
func until(t *testing.T, reached map[string]int, want []string, history func(*rapid.T)) {
	t.Helper()
	missing := ""
	for range 8 {
		rapid.Check(t, history)
		missing = ""
		for _, what := range want {
			if reached[what] == 0 {
				missing += " " + what
			}
		}
		if t.Failed() || missing == "" {
			return
		}
	}
	t.Errorf("no history reached%s (%v): the test shows nothing of it", missing, reached)
}

// live lets the history happen, with crashes, and holds the invariants after
// every input; after those without a crash it calls saw.
func (h *history) live(saw func(Input)) {
	x := make(executor)
	for range h.draw("steps", 1, 70) {
		in := h.input()
		h.out = h.l.Step(time.Unix(h.now, 0), in)
		facts, rest := split(h.out)
		crash := h.draw("crash", 0, 9)
		if crash > 0 || len(h.out) == 0 {
			h.journal = append(h.journal, facts...)
			h.do(x, rest)
			h.learn(in)
			h.check(x)
			saw(in)
			continue
		}
		// kill -9: some of the facts are durable; only if all are, some effects are done.
		durable := h.draw("durable", 0, len(facts))
		h.journal = append(h.journal, facts[:durable]...)
		if durable == len(facts) {
			h.do(x, rest[:h.draw("done", 0, len(rest))])
		}
		h.said = append(h.said, in)
		h.now = max(h.now, h.l.Now()) // what began before goes on: a wall clock that went back is the daemon's to mend
		h.crash()
		h.step(Recover{})
		for _, e := range h.l.Leases() {
			h.owner[e.Hold] = nameOf(e.Holder)
		}
		h.do(x, h.out)
		h.check(x)
	}
	h.adversary()
}

func nameOf(p Principal) string {
	for _, name := range people {
		if keyOf(name).Principal() == p {
			return name
		}
	}
	return ""
}

func split(effects []Effect) (facts []Fact, rest []Effect) {
	for _, e := range effects {
		if f, ok := e.(Fact); ok {
			facts = append(facts, f)
		} else {
			rest = append(rest, e)
		}
	}
	return facts, rest
}

// What is rebuilt at any cut of the history is what was, and wants the same done.
func TestRebuiltIsWhatWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, rt)
		for range h.draw("steps", 1, 40) {
			in := h.input()
			before := len(h.journal)
			h.step(in)
			h.learn(in)
			want := dump(h.l)
			for cut := before; cut < len(h.journal); cut++ { // within the batch: the rest follows when it is tried again
				l := rebuilt(t, h.cfg, h.journal[:cut])
				l.Step(time.Unix(h.l.Now(), 0), Recover{})
				l.Step(time.Unix(h.l.Now(), 0), in)
				if got := dump(l); got != want {
					h.rt.Fatalf("cut at %d of %d, then %s again:\n%s\nuncrashed:\n%s", cut, len(h.journal), in, got, want)
				}
			}
			wanted := lines(h.l.Step(time.Unix(h.now, 0), Recover{}))
			for name, journal := range map[string][]Fact{"journal": h.journal, "snapshot": h.l.Facts()} {
				l := rebuilt(t, h.cfg, journal)
				now := time.Unix(h.l.Now(), 0) // the daemon's clock is at least the journal's
				l.Step(now, Tick{})            // old leases are forgotten, as they were
				if got := lines(l.Step(now, Recover{})); got != wanted {
					h.rt.Fatalf("%s: recovery wants\n%s\nuncrashed:\n%s", name, got, wanted)
				}
				if got := dump(l); got != want {
					h.rt.Fatalf("%s: rebuilt\n%s\nuncrashed:\n%s", name, got, want)
				}
				a, aok := l.NextWake()
				b, bok := h.l.NextWake()
				if a != b || aok != bok {
					h.rt.Fatalf("%s: next wake %v %v, uncrashed %v %v", name, a, aok, b, bok)
				}
			}
		}
	})
}

func lines(effects []Effect) string {
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}
