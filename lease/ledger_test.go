// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestWishBecomesLeaseBecomesSliver(t *testing.T) {
	w := newWorld(t)
	in := w.ask("alice", 500, 3600, func(a *Ask) {
		a.RSet[PortsIn], a.RSet[EgressRate] = 2, 0
		a.Ports = []Port{{Proto: TCP, Number: 5003, Inside: 80}, {Proto: TCP, Inside: 81}}
	})
	hold := w.granted(in)
	w.has("Changed")
	first := w.answer()
	if w.granted(in); !bytes.Equal(w.answer().Statements[0], first.Statements[0]) {
		t.Fatal("the same wish again got another hold")
	}
	w.hasNot("Fact")
	commit := Commit{Ref: 2, Caller: in.Caller, Hold: hold}
	id := w.granted(commit)
	lease := w.answer().Statements[0]
	w.granted(commit)
	if !bytes.Equal(w.answer().Statements[0], lease) {
		t.Fatal("the same commit again got another lease")
	}
	wish, _ := Open(in.Chain[0])
	o, err := VerifyAnswer(wish, lease)
	if err != nil {
		t.Fatal(err)
	}
	l := o.Statement.(*Lease)
	if l.Ports[0].Number != 5003 || l.Ports[1].Number != 5000 || l.Grace != 20 || l.ActivateBy != w.now+60 {
		t.Fatalf("lease: %+v", l)
	}
	act := Activate{Ref: 3, Caller: in.Caller, Lease: id, Program: []byte("probe")}
	w.granted(act)
	w.has("Begin")
	w.granted(act)
	w.hasNot("Begin")
	act.Program = []byte("other")
	w.refused(act, "local:request")
	w.state(id, Active)
	w.after(3599)
	w.hasNot("Finish")
	if at, ok := w.l.NextWake(); !ok || at.Unix() != epoch+3600 {
		t.Fatalf("next wake %v %v", at, ok)
	}
	w.after(1)
	w.has("Finish")
	w.has("Changed")
	w.state(id, Expired)
	w.after(RequestKept)
	if _, ok := w.l.Lease(id); ok || len(w.l.requests)+len(w.l.holders)+len(w.l.timers) != 0 {
		t.Fatal("an old lease is not forgotten")
	}
}

func TestFusesFall(t *testing.T) {
	w := newWorld(t)
	in := w.ask("alice", 500, 3600)
	hold := w.granted(in)
	w.after(29)
	w.state(hold, Held)
	w.after(1)
	w.state(hold, Expired)
	w.hasNot("Finish")
	w.refused(Commit{Caller: in.Caller, Hold: hold}, "local:state")

	id := w.lease(w.ask("alice", 500, 3600))
	w.after(59)
	w.state(id, Leased)
	w.after(1)
	w.state(id, Failed)
	w.has("Finish")
	w.refused(Activate{Caller: in.Caller, Lease: id, Program: []byte("p")}, "local:state")
	if free := w.l.Free(PoolCommons, Term{w.now, w.now + 10}); free[CPU] != 1000 {
		t.Fatalf("free: %s", free)
	}
}

// An end announced for later does not spare a lease its activation.
func TestEndForLaterOutlastsNoFuse(t *testing.T) {
	w := newWorld(t)
	id := w.lease(w.ask("alice", 100, 3600))
	w.granted(w.close("alice", id, w.now+3000))
	w.after(59)
	w.state(id, Closing)
	w.after(1)
	w.state(id, Closed)
}

func TestRefusals(t *testing.T) {
	edit := func(f func(*Ask)) []func(*Ask) { return []func(*Ask){f} }
	for _, c := range []struct {
		name string
		code string
		edit []func(*Ask)
	}{
		{"past", "local:clock", edit(func(a *Ask) { a.From, a.Until = a.From-100, a.From-1 })},
		{"begun long ago", "local:clock", edit(func(a *Ask) { a.From -= ClockSkew + 1 })},
		{"long", "local:policy", edit(func(a *Ask) { a.Until = a.From + 86401 })},
		{"far ahead", "local:policy", edit(func(a *Ask) { a.From += 86401; a.Until = a.From + 10 })},
		{"greedy", "local:policy", edit(func(a *Ask) { a.RSet[CPU] = 601 })},
		{"too much", "local:capacity", edit(func(a *Ask) { a.RSet[CPU] = 1001 })},
		{"none here", "local:capacity", edit(func(a *Ask) { a.RSet[IO] = 1 })},
		{"no pool", "local:policy", edit(func(a *Ask) { a.Pool = "lab" })},
		{"needs ticket", "local:policy", edit(func(a *Ask) { a.Pool = PoolSharp })},
		{"other node", "local:invalid", edit(func(a *Ask) { a.Node = a.Issuer })},
		{"reserved port", "local:port", edit(func(a *Ask) { a.RSet[PortsIn] = 1; a.Ports = []Port{{Proto: TCP, Number: 5001, Inside: 1}} })},
		{"unknown lease", "local:unknown", edit(func(a *Ask) { a.Replaces = ID{1} })},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.refused(w.ask("alice", 100, 600, c.edit...), c.code)
		})
	}
	w := newWorld(t)
	w.refused(Wish{Caller: keyOf("alice").Principal()}, "local:invalid")
	stolen := w.ask("alice", 100, 600)
	stolen.Caller = keyOf("bob").Principal()
	w.refused(stolen, "local:invalid")
	garbled := w.ask("alice", 100, 600)
	garbled.Chain[0][len(garbled.Chain[0])-1] ^= 1
	w.refused(garbled, "local:invalid")
	w.step(Bar{ReasonClosing})
	w.refused(w.ask("alice", 100, 600), "local:closing")
	w.cfg.Pools = nil
	w.l = NewLedger(w.cfg)
	w.refused(w.ask("alice", 100, 600), "local:visitor")
}

func TestRefusalIsRepeatedAsStored(t *testing.T) {
	w := newWorld(t)
	w.run(w.ask("alice", 600, 600))
	in := w.ask("bob", 500, 600)
	first := w.refused(in, "local:capacity")
	if o, err := Open(first.Statements[0]); err != nil || o.Kind() != KindReject {
		t.Fatalf("reject: %v %v", o, err)
	}
	w.crash()
	w.after(599)
	if again := w.refused(in, "local:capacity"); !bytes.Equal(again.Statements[0], first.Statements[0]) {
		t.Fatal("another reject")
	}
	other := w.ask("bob", 400, 600, func(a *Ask) { a.Request[7] = byte(w.request - 1) })
	w.refused(other, "local:request")
}

func TestStrangerCannotFillTheJournal(t *testing.T) {
	w := newWorld(t)
	for i := range 3 * MaxRefusalsOfOne {
		a := w.refused(w.ask("mallory", 1001, 600), "local:capacity")
		if signed := len(a.Statements) > 0; signed != (i < MaxRefusalsOfOne) {
			t.Fatalf("refusal %d: signed %v", i, signed)
		}
	}
	if len(w.journal) != MaxRefusalsOfOne {
		t.Fatalf("%d facts", len(w.journal))
	}
	for range MaxHolds {
		w.granted(w.ask("mallory", 1, 600))
	}
	w.refused(w.ask("mallory", 1, 600), "local:policy")
}

func TestRenewalInPlace(t *testing.T) {
	w := newWorld(t)
	old := w.run(w.ask("alice", 500, 600, func(a *Ask) { a.RSet[PortsIn] = 1; a.Ports = []Port{{Proto: TCP, Inside: 80}} }))
	w.run(w.ask("bob", 400, 600))
	w.after(100)
	renew := func(cpu uint64) func(*Ask) {
		return func(a *Ask) {
			a.Replaces, a.RSet[CPU], a.RSet[PortsIn], a.Ports = old, cpu, 1, []Port{{Proto: TCP, Inside: 80}}
		}
	}
	w.refused(w.ask("alice", 0, 600, renew(601)), "local:capacity") // 101 more, of 100 free
	hold := w.granted(w.ask("alice", 0, 600, renew(600)))
	w.refused(w.ask("alice", 0, 600, renew(500)), "local:state")
	if free := w.l.Free(PoolCommons, Term{w.now, w.now + 1}); free[CPU] != 0 {
		t.Fatalf("held renewal: %s free", free)
	}
	w.after(30) // falls, and the old one goes on
	w.state(hold, Expired)
	w.state(old, Active)
	if free := w.l.Free(PoolCommons, Term{w.now, w.now + 1}); free[CPU] != 100 {
		t.Fatalf("fallen renewal: %s free", free)
	}
	in := w.ask("alice", 0, 600, renew(600))
	next := w.lease(in)
	w.has("Continue")
	w.hasNot("Finish")
	before, after := w.state(old, Closed), w.state(next, Active)
	if before.Sliver != after.Sliver || before.Ports[0] != after.Ports[0] || string(after.Program) != "probe" {
		t.Fatalf("before %+v\nafter %+v", before, after)
	}
	wish, _ := Open(in.Chain[0])
	if _, err := VerifyAnswer(wish, after.Statement); err != nil {
		t.Fatal(err)
	}
	w.crash()
	w.step(Recover{})
	w.has("Continue")
	w.hasNot("Finish")
	w.after(600)
	w.has("Finish")
}

func TestRenewalAheadTakesOverAtItsBeginning(t *testing.T) {
	w := newWorld(t)
	old := w.run(w.ask("alice", 500, 600))
	ahead := func(a *Ask) { a.Replaces, a.From, a.Until = old, epoch+500, epoch+900 }
	next := w.lease(w.ask("alice", 300, 0, ahead))
	w.hasNot("Continue")
	w.state(old, Active)
	w.now = epoch + 500
	w.step(Tick{})
	w.has("Continue")
	w.hasNot("Finish")
	w.state(old, Closed)
	w.granted(w.close("alice", next, w.now))
	w.has("Finish")
	w.state(next, Closed)

	old = w.run(w.ask("alice", 500, 600))
	next = w.lease(w.ask("alice", 300, 0, func(a *Ask) { a.Replaces, a.From, a.Until = old, w.now+10, w.now+900 }))
	w.granted(w.close("alice", next, w.now+20)) // announced before it begins
	w.after(10)
	w.has("Continue")
	w.hasNot("Finish")
	w.after(10)
	w.has("Finish")

	old = w.run(w.ask("alice", 500, 600))
	held := w.granted(w.ask("alice", 300, 600, func(a *Ask) { a.Replaces = old }))
	w.granted(w.close("alice", old, w.now))
	w.state(held, Closed)

	old = w.run(w.ask("alice", 500, 600))
	next = w.lease(w.ask("alice", 300, 0, func(a *Ask) { a.Replaces, a.From, a.Until = old, w.now+500, w.now+900 }))
	w.granted(w.close("alice", old, w.now))
	w.state(old, Closed)
	w.state(next, Closed)
	if n := strings.Count(fmt.Sprint(w.out), "finish sliver="); n != 1 {
		t.Fatalf("%d times finish: %v", n, w.out)
	}
}

func TestEnds(t *testing.T) {
	w := newWorld(t)
	hold := w.granted(w.ask("alice", 500, 600))
	w.refused(w.close("bob", hold, w.now), "local:unknown")
	w.granted(w.close("alice", hold, w.now+500)) // a later close does not outlast the fuse
	w.state(hold, Closed)

	id := w.run(w.ask("alice", 500, 600))
	end := w.close("alice", id, w.now+10)
	w.granted(end)
	w.state(id, Closing)
	w.refused(w.ask("alice", 100, 600, func(a *Ask) { a.Replaces = id }), "local:closing")
	w.refused(w.close("alice", id, w.now+11), "local:closing")
	w.granted(end)
	w.after(10)
	w.has("Finish")
	w.granted(end)
	w.state(id, Closed)
	w.refused(w.close("alice", id, w.now+1), "local:state")

	id = w.run(w.ask("alice", 500, 600))
	w.granted(Recall{Lease: id, Reason: "maintenance"})
	w.after(19)
	w.state(id, Closing)
	w.crash()
	w.after(1)
	w.has("Finish")
	e := w.state(id, Revoked)
	if !strings.Contains(e.Reason, "maintenance") {
		t.Fatal(e.Reason)
	}
	w.step(Recover{})
	w.has("Finish")
	w.step(Gone{Lease: id})
	w.crash()
	w.step(Recover{})
	for _, e := range w.out {
		if f, ok := e.(Finish); ok && f.Lease == id {
			t.Fatal("finished again though gone")
		}
	}
}

func TestTicketsAreDrawnBySlots(t *testing.T) {
	w := newWorld(t)
	chain := w.ticket("alice", 100, 3600)
	if _, err := VerifyChain(chain, nodeKey.Principal()); err != nil {
		t.Fatal(err)
	}
	a := w.run(w.redeem("alice", chain, 0, 60, 600))
	w.refused(w.redeem("alice", chain, 0, 10, 600), "local:slot")
	w.granted(w.redeem("alice", chain, 1, 40, 600))
	w.refused(w.redeem("bob", chain, 1, 40, 600), "local:invalid")

	w.granted(w.close("alice", a, w.now))
	a = w.run(w.redeem("alice", chain, 0, 60, 600)) // the slot may redeem again
	b := w.lease(w.redeem("alice", chain, 0, 50, 700, func(r *Redeem) { r.Replaces = a }))
	w.state(a, Closed)
	w.state(b, Active)
	w.now += 600
	w.granted(w.redeem("alice", chain, 2, 50, 100)) // slot 0 weighs 50 from here on
	w.granted(w.redeem("alice", chain, 3, 1, 50, func(r *Redeem) { r.From, r.Until = w.now+100, w.now+150 }))
	if len(w.l.Proofs()) != 0 {
		t.Fatal("a proof against an honest holder")
	}
	w.refused(w.redeem("alice", chain, 4, 1, 100), "over-issued")
}

func TestTicketsComeOutOfTranches(t *testing.T) {
	w := newWorld(t)
	issue := Issue{Ref: 1, Holder: keyOf("alice").Principal(), RSet: RSet{CPU: 100}, Term: Term{w.now, w.now + 3600}, Degree: 100, Request: w.fresh()}
	w.granted(issue)
	first := w.answer().Statements
	w.crash()
	w.granted(issue)
	if again := w.answer().Statements; !bytes.Equal(again[0], first[0]) || !bytes.Equal(again[1], first[1]) {
		t.Fatal("the same issue again gave another ticket")
	}
	issue.RSet[CPU] = 99
	w.refused(issue, "local:request")
	promised := uint64(100)
	for range 200 {
		issue.Request = w.fresh()
		w.step(issue)
		if r := w.answer().Refusal; r != nil {
			if r.Code() != "local:capacity" {
				t.Fatal(r)
			}
			break
		}
		promised += 99
		if _, err := VerifyChain(w.answer().Statements, nodeKey.Principal()); err != nil {
			t.Fatal(err)
		}
	}
	if promised > 1000 || promised < 700 {
		t.Fatalf("promised %d of 1000", promised)
	}
}

func TestClockThatGoesBackStandsStill(t *testing.T) {
	w := newWorld(t)
	in := w.ask("alice", 100, 600)
	hold := w.granted(in)
	w.now -= 1000
	w.step(Tick{})
	if w.l.Now() != epoch {
		t.Fatalf("ledger time went back to %d", w.l.Now())
	}
	w.crash()
	w.granted(Commit{Caller: in.Caller, Hold: hold})
	if w.l.Now() != epoch {
		t.Fatalf("after a crash ledger time is %d", w.l.Now())
	}
}

func TestLifeOfALease(t *testing.T) {
	for _, tr := range transitions {
		if !tr.from.Live() && tr.from != Wanted {
			t.Errorf("%s is an end and yet goes on", tr.from)
		}
	}
	if got := strings.Count(Transitions(), "\n"); got != len(transitions) {
		t.Fatalf("%d lines", got)
	}
}
