// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"testing"
	"time"
)

// crowd is a ledger with n leases of many principals, their terms spread over a
// day.
func crowd(b testing.TB, n int) *world {
	w := newWorld(b, PoolRule{Pool: PoolCommons, Capacity: RSet{CPU: 1 << 40}, PerPrincipal: RSet{CPU: 1 << 20}, MaxTerm: MaxTerm})
	w.cfg.HoldFuse, w.cfg.ActivateFuse = MaxTerm, MaxTerm
	w.l = NewLedger(w.cfg)
	l := w.l
	l.now = w.now
	var asker Principal
	for i := range n {
		if i%500 == 0 {
			asker = keyOf(fmt.Sprint("p", i)).Principal()
		}
		a := &Ask{K: KindAsk, Issuer: asker, Node: nodeKey.Principal(), RSet: RSet{CPU: 1}, Slice: "web", Pool: PoolCommons,
			From: w.now + int64(i*7919%86400), Request: w.fresh()}
		a.Until = a.From + 3600 + int64(i%3600)
		ask := unsigned(b, a)
		hold := unsigned(b, &Hold{K: KindHold, Node: nodeKey.Principal(), Holder: a.Issuer, Parent: ask.ID(), RSet: a.RSet,
			From: a.From, Until: a.Until, CommitBy: a.From})
		lease := unsigned(b, &Lease{K: KindLease, Node: nodeKey.Principal(), Holder: a.Issuer, Parent: ask.ID(), RSet: a.RSet,
			From: a.From, Until: a.Until, Slice: a.Slice, Pool: a.Pool, Hold: hold.ID(), ActivateBy: a.Until})
		l.decide(Fact{K: FactHeld, Wish: ask.Bytes(), Signed: hold.Bytes()})
		l.decide(Fact{K: FactCommitted, Claim: hold.ID(), Signed: lease.Bytes()})
	}
	return w
}

// unsigned seals without the cost of a signature: nothing here looks at it.
func unsigned(b testing.TB, st Statement) Signed {
	payload, err := Encode(st)
	if err != nil {
		b.Fatal(err)
	}
	return Signed{Payload: payload, Sig: make([]byte, 64)}
}

var crowds = []int{1_000, 100_000}

// Admission as a caller sees it: one ask to a hold, signatures included.
func BenchmarkAdmission(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprintf("leases=%d", n), func(b *testing.B) {
			w := crowd(b, n)
			wishes := make([]Wish, b.N)
			for i := range wishes {
				wishes[i] = w.ask(fmt.Sprint("asker", i/MaxHolds), 1, 600, func(a *Ask) { a.From += int64(i * 104729 % 86400); a.Until = a.From + 4000 })
			}
			b.ResetTimer()
			for _, in := range wishes {
				out := w.l.Step(time.Unix(w.now, 0), in)
				if a, ok := out[1].(Answer); !ok || a.Refusal != nil {
					b.Fatal(out)
				}
			}
		})
	}
}

// The calendar alone: the judgement of a term, its booking, its release.
func BenchmarkCalendar(b *testing.B) {
	for _, n := range crowds {
		b.Run(fmt.Sprintf("leases=%d", n), func(b *testing.B) {
			c := &crowd(b, n).l.pool(PoolCommons).load
			var i int64
			for b.Loop() {
				i++
				from := epoch + i*104729%86400
				s := span{Term{from, from + 4000}, RSet{CPU: 1}}
				if load := c.peak(s.Term); load[CPU] > 1<<40 {
					b.Fatal(load)
				}
				c.add(s)
				c.remove(s)
			}
		})
	}
}

// A redeem from chain to hold, the tickets above it known: one signature check
// and one signature, however many hands the ticket went through.
func BenchmarkRedeem(b *testing.B) {
	for _, depth := range []int{2, MaxDepth} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			w := newWorld(b, PoolRule{Pool: PoolSharp, Capacity: RSet{CPU: 1 << 30, PortsIn: 8}, Mechanism: MechanismSharp})
			chain := w.ticket("agent", 1<<20, 86400)
			for len(chain) < depth {
				chain = w.pass(chain, "agent", "agent", 0, 1<<20)
			}
			w.granted(w.redeem("agent", chain, 0, 1, 1))
			wishes := make([]Wish, MaxHolds-1)
			for i := range wishes {
				wishes[i] = w.redeem("agent", chain, uint8(1+i), 1, 0, func(r *Redeem) { r.From += int64(10 * i); r.Until = r.From + 10 })
			}
			journal := len(w.journal)
			b.ResetTimer()
			for i := range b.N {
				if i%len(wishes) == 0 { // as many as one may hold, again and again
					b.StopTimer()
					w.l = rebuilt(b, w.cfg, w.journal[:journal])
					b.StartTimer()
				}
				w.step(wishes[i%len(wishes)])
				if a := w.answer(); a.Refusal != nil {
					b.Fatal(a.Refusal)
				}
			}
		})
	}
}

// A redeem for which thousands of tiny leases must go.
func BenchmarkEvictionOfThousands(b *testing.B) {
	w := newWorld(b,
		PoolRule{Pool: PoolSharp, Mechanism: MechanismSharp, Capacity: RSet{CPU: 1000, Memory: 100_000}},
		PoolRule{Pool: PoolShare, Mechanism: MechanismShare, Capacity: RSet{CPU: 1000}, MaxTerm: 86400, Borrow: true})
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 100_000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	for i := range MaxEvictables {
		who := fmt.Sprintf("many%d", i/40)
		id := w.lease(w.ask(who, 0, 3600, evictable(1, 20)))
		if i%200 == 0 {
			w.granted(w.close(who, id, w.now+int64(i/200)))
		}
	}
	journal := w.journal
	for b.Loop() {
		b.StopTimer()
		w.journal = journal
		w.crash()
		in := w.redeem("dave", chain, 0, 10, 1800, func(r *Redeem) { r.RSet[Memory] = 100_000 })
		b.StartTimer()
		w.granted(in)
	}
}
