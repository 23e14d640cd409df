// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"testing"
)

// The grace of a lease that has a successor. In the drawings a letter is a second
// in which the sliver runs: L under the lease, H under its renewal.

// succeeded has alice's sliver run for 100 seconds, and from 10 on, for 90, under a
// renewal: LLLLLLLLLLHHHHHH...
func succeeded(w *world, edit func(*Ask)) (l, h ID) {
	l = w.run(w.ask("alice", 100, 100, edit))
	return l, w.lease(w.ask("alice", 100, 100, edit, func(a *Ask) { a.From, a.Replaces = w.now+10, l }))
}

// lives draws, second by second, under what the sliver of l runs from now on.
func (w *world) lives(l, h ID) (drawn string) {
	w.t.Helper()
	for range 200 {
		e, ok := w.l.Sliver(SliverName(l))
		switch {
		case !ok || !e.State.Live():
			return drawn
		case e.Lease == l:
			drawn += "L"
		case e.Lease == h:
			drawn += "H"
		}
		w.after(1)
	}
	return drawn
}

// graces holds what the node signed against what it may not have.
func (w *world) graces() {
	w.t.Helper()
	for _, a := range w.journal {
		for _, b := range w.journal {
			if a.K != FactCommitted || b.K != FactAnnounced {
				continue
			}
			p := Proof{K: ProofGrace, Evidence: [][]byte{a.Signed, b.Signed}}
			if v, err := p.Verify(); err == nil {
				w.t.Errorf("the node can be proved a breach of grace: %+v", v)
			}
		}
	}
}

func drawnAs(l, h int) (drawn string) {
	for range l {
		drawn += "L"
	}
	for range h {
		drawn += "H"
	}
	return drawn
}

func TestARevokeKeepsTheGraceAcrossARenewal(t *testing.T) {
	for _, c := range []struct {
		grace  uint32
		at     int64 // of the revoke
		of     string
		crash  bool
		l, h   int // seconds from the revoke on
		closes string
	}{
		{grace: 20, at: 0, of: "L", l: 10, h: 10, closes: "H"}, // LLLLLLLLLLHHHHHHHHHH
		{grace: 20, at: 7, of: "L", l: 3, h: 17, closes: "H", crash: true},
		{grace: 20, at: 0, of: "H", l: 10, h: 10, closes: "H"},
		{grace: 4, at: 2, of: "L", l: 4, h: 0, closes: "L"}, // LLLL
		{grace: 4, at: 2, of: "H", l: 8, h: 0, closes: "H"}, // LLLLLLLL: only the renewal is off
		{grace: 8, at: 2, of: "L", l: 8, h: 0, closes: "L"}, // LLLLLLLL: to the second
		{grace: 9, at: 2, of: "L", l: 8, h: 1, closes: "H", crash: true},
		{grace: 200, at: 2, of: "L", l: 8, h: 90, closes: "H"}, // longer than what was promised
		{grace: 0, at: 2, of: "L", l: 0, h: 0, closes: ""},
	} {
		t.Run(fmt.Sprintf("%d s, %s at %d", c.grace, c.of, c.at), func(t *testing.T) {
			w := newWorld(t)
			w.cfg.Grace = c.grace
			w.l = NewLedger(w.cfg)
			l, h := succeeded(w, func(a *Ask) { a.RSet[PortsIn], a.Ports = 1, []Port{{Proto: TCP, Inside: 80}} })
			id := map[string]ID{"L": l, "H": h}
			w.after(c.at)
			w.granted(Recall{Ref: 1, Lease: id[c.of]})
			said := string(w.answer().Statements[0])
			w.granted(Recall{Ref: 1, Lease: id[c.of]})
			if again := string(w.answer().Statements[0]); again != said {
				t.Error("the same wish was answered otherwise")
			}
			if c.closes != "" {
				w.state(id[c.closes], Closing)
			}
			if c.crash {
				w.crash()
				w.step(Recover{})
			}
			// What is free from then on is somebody else's to have.
			if end := w.now + int64(c.l+c.h); c.l+c.h < 90 {
				w.granted(w.ask("bob", 500, 10, func(a *Ask) { a.From, a.Until = end, end+10 }))
				w.granted(w.ask("carol", 500, 10, func(a *Ask) { a.From, a.Until = end, end+10 }))
			}
			if got, want := w.lives(l, h), drawnAs(c.l, c.h); got != want {
				t.Errorf("the sliver runs %s, want %s", got, want)
			}
			w.graces()
		})
	}
}

func TestARevokeCallsOffARenewalThatIsHeld(t *testing.T) {
	w := newWorld(t)
	l := w.run(w.ask("alice", 100, 100))
	in := w.ask("alice", 100, 100, func(a *Ask) { a.From, a.Replaces = w.now+10, l })
	hold := w.granted(in)
	w.granted(Recall{Ref: 1, Lease: l})
	w.refused(Commit{Ref: 1, Caller: in.Caller, Hold: hold}, "local:state")
	if got, want := w.lives(l, hold), drawnAs(20, 0); got != want {
		t.Errorf("the sliver runs %s, want %s", got, want)
	}
}

// A renewal that was revoked in its own name gives nothing: the lease before it can
// still be revoked, and its holder can still close it.
func TestALeaseWhoseRenewalIsOffEndsByItself(t *testing.T) {
	w := newWorld(t)
	w.cfg.Grace = 3
	w.l = NewLedger(w.cfg)
	l, h := succeeded(w, func(*Ask) {})
	w.granted(Recall{Ref: 1, Lease: h})
	w.after(1)
	w.granted(Recall{Ref: 1, Lease: l})
	w.state(l, Closing)
	w.granted(w.close("alice", l, w.now+2))
	if got := w.lives(l, h); got != "LL" {
		t.Errorf("the sliver runs %s", got)
	}
	w.graces()
}

// Eviction keeps the notice across a renewal as a revoke does, and what begins in
// the room begins when it is free.
func TestEvictionKeepsTheNoticeAcrossARenewal(t *testing.T) {
	for _, c := range []struct {
		at   int64 // of the redeem
		from int64 // of its term, after that
		l, h int   // seconds from the redeem on
	}{
		{at: 0, from: 0, l: 10, h: 5},
		{at: 8, from: 0, l: 2, h: 13},
		{at: 0, from: 30, l: 10, h: 20},
	} {
		t.Run(fmt.Sprintf("at %d from %d", c.at, c.from), func(t *testing.T) {
			w := four(t) // a notice of 15 s
			w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
			chain := w.answer().Statements
			l, h := succeeded(w, evictable(8, 1000))
			w.after(c.at)
			in := w.redeem("dave", chain, 0, 10, 600, func(r *Redeem) { r.RSet[Memory], r.From, r.Until = 1000, r.From+c.from, r.Until+c.from })
			d := w.lease(in)
			e, _ := w.l.Lease(d)
			if at := max(e.Starts, e.Term.From); at != w.now+int64(c.l+c.h) {
				t.Errorf("starts in %d s", at-w.now)
			}
			w.state(l, Active)
			w.state(h, Closing)
			if got, want := w.lives(l, h), drawnAs(c.l, c.h); got != want {
				t.Errorf("the sliver runs %s, want %s", got, want)
			}
			w.graces()
		})
	}
}

// A renewal far ahead is off when its lease must go, and both are told.
func TestEvictionEndsALeaseAndItsRenewal(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	l := w.run(w.ask("alice", 100, 100, evictable(8, 1000)))
	h := w.lease(w.ask("alice", 100, 100, evictable(8, 1000), func(a *Ask) { a.From, a.Replaces = w.now+50, l }))
	w.granted(w.redeem("dave", chain, 0, 10, 600, func(r *Redeem) { r.RSet[Memory] = 1000 }))
	for _, id := range []ID{l, h} {
		if e, _ := w.l.Lease(id); e.End == nil {
			t.Errorf("%s is %s, and its holder has nothing signed", id.Short(), e.State)
		}
	}
	w.state(h, Revoked)
	if got, want := w.lives(l, h), drawnAs(15, 0); got != want {
		t.Errorf("the sliver runs %s, want %s", got, want)
	}
	w.graces()
}

// An evictable renewal of a lease that nobody can evict is evicted by itself.
func TestAnEvictableRenewalOfAHardLeaseIsEvicted(t *testing.T) {
	for _, committed := range []bool{false, true} {
		w := four(t)
		w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
		chain := w.answer().Statements
		l := w.run(w.ask("alice", 100, 100))
		in := w.ask("alice", 100, 100, evictable(8, 1000), func(a *Ask) { a.From, a.Replaces = w.now+10, l })
		h := w.granted(in)
		if committed {
			h = w.granted(Commit{Ref: 1, Caller: in.Caller, Hold: h})
		}
		w.granted(w.redeem("dave", chain, 0, 10, 600, func(r *Redeem) { r.RSet[Memory] = 1000 }))
		want := drawnAs(100, 0)
		if committed {
			want = drawnAs(10, 5)
		}
		if got := w.lives(l, h); got != want {
			t.Errorf("the sliver runs %s, want %s", got, want)
		}
		w.graces()
	}
}

// Who may have to go at any time promises nothing hard for later: it would have to
// be broken with it.
func TestAnEvictableLeaseIsNotFollowedByAHardOneAheadOfTime(t *testing.T) {
	w := four(t)
	l := w.run(w.ask("alice", 100, 100, evictable(8, 100)))
	hard := func(from int64) Wish {
		return w.ask("alice", 100, 100, func(a *Ask) { a.From, a.Replaces = w.now+from, l })
	}
	w.refused(hard(10), "local:state")
	id := w.lease(hard(0))
	w.has("Continue")
	w.state(id, Active)
}

// Room that comes back by itself, sooner than by notice, is waited for: the lead
// says that it may be, and a refusal would dishonour the ticket.
func TestATicketWaitsForWhatEndsByItself(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	id := w.run(w.ask("alice", 100, 9, evictable(8, 1000)))
	got := w.lease(w.redeem("dave", chain, 0, 10, 600, func(r *Redeem) { r.RSet[Memory] = 1000 }))
	w.state(id, Active)
	if e := w.state(got, Leased); e.Starts != w.now+9 {
		t.Fatalf("starts in %d s", e.Starts-w.now)
	}
}

// A redeem whose term is over before the lead is gets nothing when the room is lent
// out. The refusal is not signed: it would be proof against a node that keeps the
// rules.
func TestATicketTooShortForTheLeadProvesNothing(t *testing.T) {
	w := four(t)
	w.step(Issue{Ref: 1, Holder: keyOf("dave").Principal(), RSet: RSet{CPU: 100, Memory: 1000}, Term: Term{w.now, w.now + 7200}, Degree: 100, Request: w.fresh()})
	chain := w.answer().Statements
	w.run(w.ask("alice", 100, 3600, evictable(8, 1200)))
	if a := w.refused(w.redeem("dave", chain, 0, 10, 15, func(r *Redeem) { r.RSet[Memory] = 500 }), "local:capacity"); len(a.Statements) != 0 {
		t.Errorf("signed: %v", a)
	}
}
