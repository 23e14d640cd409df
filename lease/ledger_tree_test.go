// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// give has the node give a ticket of a degree.
func (w *world) give(who string, cpu uint64, degree uint16) [][]byte {
	w.t.Helper()
	w.granted(Issue{Ref: 1, Holder: keyOf(who).Principal(), RSet: RSet{CPU: cpu, PortsIn: 2}, Term: Term{w.now, w.now + 3600}, Degree: degree, Request: w.fresh()})
	return w.answer().Statements
}

// pass has the holder of a ticket, from, make one for another out of it.
func (w *world) pass(chain [][]byte, from, to string, slot uint8, cpu uint64, edit ...func(*Ticket)) [][]byte {
	w.t.Helper()
	id, up, err := storedAs[*Ticket](chain[len(chain)-1])
	if err != nil {
		w.t.Fatal(err)
	}
	t := &Ticket{K: KindTicket, Issuer: keyOf(from).Principal(), Node: up.Node, Holder: keyOf(to).Principal(), Parent: id, Slot: slot,
		RSet: RSet{CPU: cpu}, From: up.From, Until: up.Until, Degree: 100}
	for _, e := range edit {
		e(t)
	}
	return append(slices.Clone(chain), w.seal(t, keyOf(from)))
}

// attached opens a signed refusal and verifies what it attaches.
func (w *world) attached(in Wish, a Answer) (*Reject, []byte) {
	w.t.Helper()
	if len(a.Statements) != 1 {
		w.t.Fatalf("%v is not signed", a.Refusal)
	}
	chain, err := VerifyChain(in.Chain, nodeKey.Principal())
	if err != nil {
		w.t.Fatal(err)
	}
	o, err := VerifyAnswer(chain.Leaf(), a.Statements[0])
	if err != nil {
		w.t.Fatal(err)
	}
	r := o.Statement.(*Reject)
	if r.Sort != Local {
		if err := VerifyAttachment(chain, r, a.Refusal.Attachment); err != nil {
			w.t.Fatalf("%v: %v", a.Refusal, err)
		}
	}
	if got := r.refusal(a.Refusal.Attachment); fmt.Sprint(*got) != fmt.Sprint(*a.Refusal) {
		w.t.Fatalf("said %+v, signed %+v", a.Refusal, got)
	}
	return r, a.Refusal.Attachment
}

func (w *world) provedAgainst(p Principal, n int) {
	w.t.Helper()
	got := 0
	for _, e := range w.out {
		if e, ok := e.(Proved); ok {
			got++
			if _, v, err := VerifyProof(e.Proof); err != nil || v.Principal != p {
				w.t.Fatalf("proof against %s: %v", v.Principal.Short(), err)
			}
		}
	}
	if got != n {
		w.t.Fatalf("%d proofs, want %d", got, n)
	}
}

func bigWorld(t testing.TB) *world {
	return newWorld(t,
		PoolRule{Pool: PoolCommons, Capacity: RSet{CPU: 1000}},
		PoolRule{Pool: PoolSharp, Capacity: RSet{CPU: 8000, PortsIn: 8}, Mechanism: MechanismSharp})
}

var agent = keyOf("agent").Principal()

// The agent of the design's example splits a ticket of 4000 at 150 per cent in
// three. What it may, 6000, is nobody's fault when the third is refused; one more
// and whoever it sold to can prove it.
func TestAgentSplitsATicket(t *testing.T) {
	for _, c := range []struct {
		third uint64
		code  string
	}{{2000, "oversubscribed"}, {2001, "over-issued"}} {
		t.Run(c.code, func(t *testing.T) {
			w := bigWorld(t)
			chain := w.give("agent", 4000, 150)
			a := w.pass(chain, "agent", "alice", 0, 2000)
			b := w.pass(chain, "agent", "bob", 1, 2000)
			third := w.pass(chain, "agent", "carol", 2, c.third)
			w.run(w.redeem("alice", a, 0, 2000, 600))
			w.granted(w.redeem("bob", b, 0, 2000, 600))
			w.provedAgainst(agent, 0)
			in := w.redeem("carol", third, 0, c.third, 600)
			first := w.refused(in, c.code)
			if c.code == "over-issued" {
				w.provedAgainst(agent, 1)
			} else {
				w.provedAgainst(agent, 0)
			}
			r, attachment := w.attached(in, first)
			if id, _, _ := stored(chain[1]); r.About != id {
				t.Errorf("about %s, want %s", r.About.Short(), id.Short())
			}
			if c.code == "oversubscribed" {
				if f, _ := ParseFilling(attachment); len(f) != 2 || r.Lacks != uint8(CPU)+1 || r.Instant != w.now {
					t.Errorf("%d draws, lacks %d at %d", len(f), r.Lacks, r.Instant)
				}
				if len(w.l.Proofs()) != 0 {
					t.Error("a proof against an honest agent")
				}
			} else if p := w.l.Proofs(); len(p) != 1 || !bytes.Equal(p[0].Proof, attachment) || p[0].Principal != agent {
				t.Errorf("proofs: %+v", p)
			}

			w.crash()
			w.step(Recover{})
			if again := w.refused(in, c.code); fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("restored: %v\nbefore: %v", again, first)
			}
			w.hasNot("Fact")
			if c.code == "over-issued" { // what alice and bob have of it goes on, also on its own
				w.granted(w.redeem("alice", a, 0, 1000, 600, func(r *Redeem) { r.Replaces = w.l.Leases()[0].Lease }))
				w.refused(Issue{Holder: agent, RSet: RSet{CPU: 1}, Term: Term{w.now, w.now + 10}, Degree: 100, Request: w.fresh()}, "local:quarantine")
			}
		})
	}
}

// The leaf is used up: only where it may promise more than it has can that be
// nobody's fault.
func TestExhausted(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("alice", 1000, 200)
	w.run(w.redeem("alice", chain, 0, 700, 600))
	in := w.redeem("alice", chain, 1, 400, 600)
	r, attachment := w.attached(in, w.refused(in, "exhausted"))
	if f, _ := ParseFilling(attachment); len(f) != 1 || r.About != w.l.Tickets()[0].Ticket {
		t.Errorf("%d draws of %s", len(f), r.About.Short())
	}
	w.granted(w.redeem("alice", chain, 1, 300, 600))
}

func TestDeepChains(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("agent", 1000, 100)
	for i := 2; i < MaxDepth; i++ {
		chain = w.pass(chain, "agent", "agent", 0, 1000)
	}
	too := w.pass(chain, "agent", "agent", 0, 1000)
	w.refused(w.redeem("agent", too, 0, 1, 600), "local:invalid")
	id := w.run(w.redeem("agent", chain, 0, 600, 600))
	for _, e := range w.l.Tickets() {
		if e.Drawn[CPU] != 600 || e.Left()[CPU] > 400 {
			t.Fatalf("depth %d: drawn %s, left %s", e.Depth, e.Drawn, e.Left())
		}
	}
	if tree := w.l.Tree(); len(tree) != MaxDepth || tree[MaxDepth-1].Depth != MaxDepth-1 {
		t.Fatalf("%d claims", len(tree))
	}
	// A sibling at the top: what runs below counts on the whole path.
	w.granted(w.redeem("agent", chain, 1, 400, 600))
	w.granted(w.close("agent", id, w.now))
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 400 || e.Weighed[CPU] != 1000 {
		t.Fatalf("after the close: drawn %s, weighed %s", e.Drawn, e.Weighed)
	}
	w.after(3600 + RequestKept)
	if len(w.l.claims) != 1 || w.l.passedOn != 0 || len(w.l.witnesses) != 0 {
		t.Fatalf("not forgotten: %d claims, %d passed on", len(w.l.claims), w.l.passedOn)
	}
}

// Closing a lease frees what it drew. Its redeem weighs on: whoever signs more
// beside it has promised too much, is proved to have, and gets no more.
func TestThereIsNoReturn(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("alice", 1000, 100)
	id := w.run(w.redeem("alice", chain, 0, 600, 600))
	w.granted(w.close("alice", id, w.now))
	if free := w.l.Free(PoolSharp, Term{w.now, w.now + 1}); free[CPU] != 8000 {
		t.Fatalf("free: %s", free)
	}
	w.run(w.redeem("alice", chain, 0, 600, 600)) // in its slot it weighs no more than before
	w.provedAgainst(Principal{}, 0)
	in := w.redeem("alice", chain, 1, 401, 600, func(r *Redeem) { r.From += 100; r.Until = r.From + 200 })
	w.refused(in, "over-issued") // it does not fit besides
	w.provedAgainst(keyOf("alice").Principal(), 1)
	w.refused(w.redeem("alice", chain, 0, 1, 600, func(r *Redeem) { r.From += 700; r.Until += 700 }), "local:quarantine")

	w = bigWorld(t)
	chain = w.give("alice", 1000, 100)
	id = w.run(w.redeem("alice", chain, 0, 600, 600))
	w.granted(w.close("alice", id, w.now))
	w.granted(w.redeem("alice", chain, 1, 401, 600)) // it fits: a conflict alone refuses nobody
	w.provedAgainst(keyOf("alice").Principal(), 1)
	in = w.redeem("alice", chain, 1, 1, 600, func(r *Redeem) { r.From += 700; r.Until += 700 })
	r, attachment := w.attached(in, w.refused(in, "local:quarantine"))
	if _, v, err := VerifyProof(attachment); err != nil || v.Principal != in.Caller || r.About != v.About {
		t.Fatalf("%v %v", v, err)
	}
	w.refused(w.ask("alice", 1, 600), "local:quarantine")
	w.now += 3500
	w.granted(w.ask("bob", 1, 600))
	w.now += w.l.cfg.Quarantine
	w.granted(w.ask("alice", 1, 600)) // it has an end
	if w.l.Accused(in.Caller, w.now) {
		t.Error("accused for ever")
	}
}

func TestSlotHoldsOneLease(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("alice", 1000, 100)
	a := w.run(w.redeem("alice", chain, 0, 100, 600))
	in := w.redeem("alice", chain, 0, 100, 600)
	w.attached(in, w.refused(in, "local:slot"))
	renewal := w.redeem("alice", chain, 0, 200, 900, func(r *Redeem) { r.Replaces = a })
	hold := w.granted(renewal)
	w.refused(w.redeem("alice", chain, 0, 200, 900, func(r *Redeem) { r.Replaces = a }), "local:state") // at most one is held
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 200 {
		t.Fatalf("both together draw %s", e.Drawn)
	}
	w.after(30) // the hold falls, the old one goes on
	w.state(hold, Expired)
	w.state(a, Active)
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 100 || e.Weighed[CPU] != 200 {
		t.Fatalf("after the fall: drawn %s, weighed %s", e.Drawn, e.Weighed)
	}
	w.refused(Commit{Caller: renewal.Caller, Hold: hold}, "local:state")
	if again := w.granted(renewal); again != hold { // a replay is answered as it was, and changes nothing
		t.Fatal("a replayed redeem is a new hold")
	}
	w.state(hold, Expired)
}

// A sliver lives on past the ticket that it began under: a redeem under another
// parent replaces its lease, and where both paths meet the two count once.
func TestRenewalUnderAnotherParent(t *testing.T) {
	w := bigWorld(t)
	top := w.give("agent", 1000, 100)
	first := w.pass(top, "agent", "alice", 0, 800, func(t *Ticket) { t.Until = t.From + 600 })
	next := w.pass(top, "agent", "alice", 0, 1000, func(t *Ticket) { t.From += 600 })
	old := w.run(w.redeem("alice", first, 0, 800, 600))
	in := w.redeem("alice", next, 0, 1000, 0, func(r *Redeem) { r.From, r.Until, r.Replaces = w.now+600, w.now+1200, old })
	renewed := w.lease(in)
	w.provedAgainst(Principal{}, 0)
	w.after(600)
	w.has("Continue")
	w.state(old, Closed)
	w.state(renewed, Active)
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 1000 || e.Redeems != 0 {
		t.Fatalf("drawn %s", e.Drawn)
	}

	// A held renewal of delegated tickets, with both going at once.
	w = bigWorld(t)
	top = w.give("agent", 1000, 200)
	one := w.pass(top, "agent", "alice", 0, 800)
	two := w.pass(top, "agent", "alice", 1, 900)
	old = w.run(w.redeem("alice", one, 0, 800, 600))
	w.refused(w.redeem("alice", two, 0, 900, 900), "oversubscribed")
	in = w.redeem("alice", two, 0, 900, 900, func(r *Redeem) { r.Replaces = old })
	hold := w.granted(in)
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 900 {
		t.Fatalf("both together draw %s", e.Drawn)
	}
	three := w.pass(top, "agent", "bob", 2, 101)
	late := w.redeem("bob", three, 0, 101, 300)
	r, _ := w.attached(late, w.refused(late, "oversubscribed"))
	if r.Instant != w.now {
		t.Errorf("full at %d", r.Instant)
	}
	w.granted(Commit{Caller: in.Caller, Hold: hold})
	w.state(old, Closed)
	if e := w.l.Tickets()[0]; e.Drawn[CPU] != 900 {
		t.Fatalf("after the commit: %s", e.Drawn)
	}
}

// A redeem under claims that are known costs one signature check; the same bytes
// but for one are not those that are known.
func TestKnownPrefixIsKnownByItsBytes(t *testing.T) {
	w := bigWorld(t)
	chain := w.pass(w.give("agent", 1000, 100), "agent", "alice", 0, 500)
	w.granted(w.redeem("alice", chain, 0, 100, 600))
	for i := range chain {
		in := w.redeem("alice", chain, 1, 100, 600)
		in.Chain = slices.Clone(in.Chain)
		in.Chain[i] = bytes.Clone(in.Chain[i])
		in.Chain[i][len(in.Chain[i])-1] ^= 1 // of the signature
		w.refused(in, "local:invalid")
	}
	w.granted(w.redeem("alice", chain, 1, 100, 600))
}

// Tickets of a lower degree stand under a capacity of a higher one, and count
// what they weigh.
func TestIssueBudgetsDegrees(t *testing.T) {
	w := bigWorld(t)
	rng := uint64(7)
	next := func(n uint64) uint64 { rng = rng*6364136223846793005 + 1442695040888963407; return rng >> 33 % n }
	given := 0
	for range 300 {
		from := w.now + int64(next(86400))
		w.step(Issue{Ref: 1, Holder: agent, RSet: RSet{CPU: 1 + next(1500)}, Term: Term{from, from + 60 + int64(next(86400*20))},
			Degree: 100 + uint16(next(3))*50, Request: w.fresh()})
		if w.answer().Refusal == nil {
			given++
		}
	}
	if given < 20 {
		t.Fatalf("%d given", given)
	}
	capacities, children := new(Capacities), map[ID]*Children{}
	lower := 0
	for _, e := range w.l.Tree() {
		chain, err := VerifyChain(e.Chain, nodeKey.Principal())
		if err != nil {
			t.Fatal(err)
		}
		if e.Depth == 0 {
			if capacities.Add(chain.Leaf()) != nil {
				t.Fatal("a tranche set aside twice")
			}
			children[e.Ticket] = NewChildren(chain.Leaf())
			continue
		}
		if f := children[e.Parent].Add(chain.Leaf()); f != nil {
			t.Fatalf("the node promised too much: %+v", f)
		}
		if chain.Root().Degree > e.Degree {
			lower++
		}
	}
	if lower == 0 {
		t.Error("no ticket stands under a capacity of a higher degree: the test shows nothing")
	}
}

func TestAccuse(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("agent", 1000, 100)
	a, b := w.pass(chain, "agent", "alice", 0, 500), w.pass(chain, "agent", "bob", 0, 600)
	above, _ := VerifyChain(chain, nodeKey.Principal())
	kids := NewChildren(above.Leaf())
	var proof []byte
	for _, c := range [][][]byte{a, b} {
		o, _ := Open(c[2])
		if f := kids.Add(o); f != nil {
			proof = f.Proof(above).Bytes()
		}
	}
	in := Accuse{Ref: 1, Proof: proof}
	w.step(in)
	if r := w.answer().Refusal; r != nil {
		t.Fatal(r)
	}
	w.provedAgainst(agent, 0) // it was told
	w.step(in)
	w.hasNot("Fact")
	if !w.l.Accused(agent, w.now) || w.l.Accused(keyOf("alice").Principal(), w.now) {
		t.Fatal("accused is the wrong one")
	}
	w.granted(w.redeem("alice", a, 0, 500, 600)) // a third party goes on
	late := w.redeem("bob", b, 0, 600, 600)
	w.attached(late, w.refused(late, "over-issued"))
	broken := bytes.Clone(proof)
	broken[len(broken)-9] ^= 1
	w.refused(Accuse{Ref: 1, Proof: broken}, "local:invalid")
	w.step(Bar{ReasonSpace})
	w.step(in)
	w.crash()
	if len(w.l.Proofs()) != 1 || !w.l.Accused(agent, w.now) {
		t.Fatal("lost in the crash")
	}
	w.now += 3600 + w.l.cfg.Quarantine
	fresh := newWorld(t)
	fresh.now = w.now
	fresh.refused(in, "local:clock") // old ones are passed over
}

func mustParse(t *testing.T, b []byte) Signed {
	s, err := ParseSigned(b, MaxStatement)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Who splits a ticket without end fills nobody's room but its own.
func TestSplittingIsBounded(t *testing.T) {
	w := bigWorld(t)
	chain := w.give("agent", 1000, 100)
	other := w.give("bob", 1000, 100)
	for i := range MaxTicketsOfClaim {
		c := w.pass(chain, "agent", "alice", uint8(i%Slots), 1, func(t *Ticket) { t.From += int64(i); t.Until = t.From + 1 })
		w.step(w.redeem("alice", c, 0, 1, 0, func(r *Redeem) { r.From += int64(i); r.Until = r.From + 1 }))
		if i%10 == 0 { // so that not too many holds are open
			w.after(0)
			for _, e := range w.l.Holder(keyOf("alice").Principal()) {
				if e.State == Held {
					w.granted(w.close("alice", e.Hold, w.now))
				}
			}
		}
	}
	in := w.redeem("alice", w.pass(chain, "agent", "alice", 0, 1), 0, 1, 10)
	if a := w.refused(in, "local:bound"); len(a.Statements) != 0 {
		t.Error("signed, though it is not kept")
	}
	w.granted(w.redeem("bob", other, 0, 1, 10))
}
