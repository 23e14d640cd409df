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
	market  bool           // of tickets rather than of asks
	tried   map[ID]bool    // refusals that were looked at
	sorts   map[string]int // of them
}

var people = []string{"alice", "bob", "carol"}

func newHistory(t *testing.T, rt *rapid.T) *history {
	w := newWorld(t,
		PoolRule{Pool: PoolCommons, Capacity: RSet{CPU: 10, PortsIn: 3}, PerPrincipal: RSet{CPU: 6}, MaxTerm: 100},
		PoolRule{Pool: PoolSharp, Capacity: RSet{CPU: 10, PortsIn: 3}, Sharp: true, MaxTerm: 100})
	w.cfg.HoldFuse, w.cfg.ActivateFuse, w.cfg.Grace, w.cfg.Quarantine = 5, 7, 4, 15
	w.cfg.Ports = PortRange{First: 5000, Last: 5003}
	w.l = NewLedger(w.cfg)
	return &history{world: w, rt: rt, market: rapid.Bool().Draw(rt, "market"), owner: make(map[ID]string), tried: make(map[ID]bool), sorts: make(map[string]int)}
}

func (h *history) draw(label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(h.rt, label)
}

// input draws what happens next.
func (h *history) input() Input {
	who := rapid.SampledFrom(people).Draw(h.rt, "who")
	entries := h.l.Leases()
	if h.draw("pass on", 0, 4) == 0 && len(h.tickets) > 0 {
		h.passOn()
	}
	if h.market && len(h.tickets) == 0 {
		return h.issue(who)
	}
	what := h.draw("what", 0, 15)
	if h.market && what < 4 {
		what = 4
	}
	switch {
	case what < 4:
		return h.ask(who, uint64(h.draw("cpu", 1, 6)), 0, func(a *Ask) {
			var ports int
			a.From, a.Until, a.Replaces, ports = h.term(who, entries)
			a.RSet[PortsIn] = uint64(ports)
			for i := range ports {
				a.Ports = append(a.Ports, Port{Proto: UDP, Inside: uint16(80 + i)})
			}
		})
	case what < 7 && len(h.tickets) > 0:
		chain := h.tickets[h.draw("ticket", 0, len(h.tickets)-1)]
		who = h.holder(chain)
		return h.redeem(who, chain, uint8(h.draw("slot", 0, 2)), uint64(h.draw("cpu", 1, 4)), 0, func(r *Redeem) {
			r.From, r.Until, r.Replaces, _ = h.term(who, entries)
			if id, t, _ := storedAs[*Ticket](chain[len(chain)-1]); id == r.Parent { // mostly within
				r.From, r.Until = max(r.From, t.From), max(t.From, r.From)+1
				if t.Until > r.Until {
					r.Until += int64(h.draw("seconds", 0, int(t.Until-r.Until)))
				}
			}
		})
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
	return Issue{Ref: 1, Holder: keyOf(who).Principal(), RSet: RSet{CPU: uint64(h.draw("cpu", 1, 6))},
		Term: Term{h.now, h.now + int64(h.draw("seconds", 10, 120))}, Degree: uint16(h.draw("degree", 2, 4)) * 50, Request: h.fresh()}
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

// executor is what carries out effects: the slivers that run, by name.
type executor map[string]ID

func (h *history) do(x executor, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Begin:
			x[e.Sliver] = e.Lease
		case Continue:
			if _, ok := x[e.Sliver]; !ok {
				h.rt.Fatalf("%s, which does not run", e)
			}
			x[e.Sliver] = e.Lease
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
			running[e.Sliver] = e.Lease
		}
	}
	if fmt.Sprint(x) != fmt.Sprint(running) {
		h.rt.Fatalf("at %d there run\n%v, and leases say\n%v", now, x, running)
	}
	// 1: never over capacity, and the calendar says just what brute force says.
	for _, rule := range l.Pools() {
		for at := now; at < now+130; at++ {
			var sum RSet
			for _, b := range live {
				if b.pool != rule.Pool || !b.span().Covers(at) {
					continue
				}
				amount := b.rset
				if b.lease.IsZero() && b.old != nil && b.old.pool == b.pool && b.old.span().Covers(at) {
					amount = amount.Minus(b.old.rset) // the two at their maximum
				}
				sum = sum.Plus(amount)
			}
			if !sum.Within(rule.Capacity) {
				h.rt.Fatalf("pool %s at %d: %s of %s", rule.Pool, at, sum, rule.Capacity)
			}
			if free := l.Free(rule.Pool, Term{at, at + 1}); free != rule.Capacity.Minus(sum) {
				h.rt.Fatalf("pool %s at %d: %s are free, brute force says %s", rule.Pool, at, free, rule.Capacity.Minus(sum))
			}
		}
	}
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
}

// Invariants 1, 3 and 5 of the design, and that every hold and lease ends in time.
func TestLedgerUnderRandomHistories(t *testing.T) {
	reached := make(map[State]bool)
	refused := make(map[string]int)
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, rt)
		h.sorts = refused
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
				for _, e := range h.l.Leases() {
					reached[e.State] = true
				}
				continue
			}
			// kill -9: some of the facts are durable; only if all are, some effects are done.
			durable := h.draw("durable", 0, len(facts))
			h.journal = append(h.journal, facts[:durable]...)
			if durable == len(facts) {
				h.do(x, rest[:h.draw("done", 0, len(rest))])
			}
			h.said = append(h.said, in)
			h.crash()
			h.step(Recover{})
			for _, e := range h.l.Leases() {
				h.owner[e.Hold] = nameOf(e.Holder)
			}
			h.do(x, h.out)
			h.check(x)
		}
	})
	t.Logf("refused: %v", refused)
	for _, code := range []string{"exhausted", "oversubscribed", "over-issued", "local:slot", "local:quarantine"} {
		if refused[code] == 0 {
			t.Errorf("no history was refused a redeem as %s: the test shows nothing of it", code)
		}
	}
	for _, s := range []State{Held, Leased, Active, Closing, Closed, Expired, Revoked, Failed} {
		if !reached[s] {
			t.Errorf("no history reached %s: the test shows nothing of it", s)
		}
	}
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
