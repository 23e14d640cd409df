// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// inOrder puts two statements in the order of their ids.
func inOrder(t *testing.T, pair [][]byte) [][]byte {
	x, y := mustParse(t, pair[0]).ID(), mustParse(t, pair[1]).ID()
	if bytes.Compare(x[:], y[:]) > 0 {
		slices.Reverse(pair)
	}
	return pair
}

// capacities has a node that never was set one tranche aside twice.
func (w *world) capacities(t *testing.T, node string, term Term) Accuse {
	key := keyOf(node)
	var pair [][]byte
	for j := range uint64(2) {
		pair = append(pair, w.seal(&Capacity{K: KindCapacity, Node: key.Principal(), RSet: RSet{CPU: 1 + j}, From: term.From, Until: term.Until, Degree: 100}, key))
	}
	return Accuse{Ref: 1, Proof: Proof{K: ProofCapacity, Evidence: inOrder(t, pair)}.Bytes()}
}

// sold has a principal sell one slot of a ticket twice at another node.
func (w *world) sold(t *testing.T, node, who string, slot uint8, term Term) Accuse {
	key, seller := keyOf(node), keyOf(who)
	c := w.seal(&Capacity{K: KindCapacity, Node: key.Principal(), RSet: RSet{CPU: 9}, From: term.From, Until: term.Until, Degree: 100}, key)
	up := w.seal(&Ticket{K: KindTicket, Issuer: key.Principal(), Node: key.Principal(), Holder: seller.Principal(), Parent: mustParse(t, c).ID(),
		RSet: RSet{CPU: 9}, From: term.From, Until: term.Until, Degree: 100}, key)
	var pair [][]byte
	for j := range uint64(2) {
		pair = append(pair, w.seal(&Ticket{K: KindTicket, Issuer: seller.Principal(), Node: key.Principal(), Holder: key.Principal(), Parent: mustParse(t, up).ID(),
			Slot: slot, RSet: RSet{CPU: 1 + j}, From: term.From, Until: term.Until, Degree: 100}, seller))
	}
	return Accuse{Ref: 1, Proof: Proof{K: ProofTwice, Chain: [][]byte{c, up}, Evidence: inOrder(t, pair)}.Bytes()}
}

// same rebuilds the ledger from its journal and from its own facts.
func (w *world) same() {
	w.t.Helper()
	want := strings.Split(dump(w.l), "\n")
	for name, facts := range map[string][]Fact{"journal": w.journal, "own facts": w.l.Facts()} {
		l := rebuilt(w.t, w.cfg, facts)
		l.Step(time.Unix(w.now, 0), Tick{}) // which forgets what is due
		got := strings.Split(dump(l), "\n")
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				w.t.Fatalf("rebuilt from its %s it differs in line %d of %d, %d:\n%s\nwant\n%s", name, i, len(got), len(want), got[min(i, len(got)-1)], want[min(i, len(want)-1)])
			}
		}
	}
}

// Nodes, sellers and far terms that somebody made up fill every place, and take
// none from a proof about whoever has something here: not before it, not after.
func TestMadeUpProofsPushNothingOut(t *testing.T) {
	w := bigWorld(t)
	const far = 300 * 86400
	for i := range MaxProofs {
		w.step(w.sold(t, fmt.Sprint("node", i), fmt.Sprint("seller", i), 0, Term{w.now + far, w.now + 2*far - int64(i%7)}))
		if r := w.answer().Refusal; r != nil {
			t.Fatal(r)
		}
	}
	w.refused(w.capacities(t, "early", Term{w.now + 9000*far/10, w.now + 9000*far/10 + 60}), "local:clock")

	w.lease(w.ask("carol", 10, 600))
	w.give("agent", 1000, 100)
	near := Term{w.now, w.now + 3600}
	brought := []string{"agent", "carol", "stranger"} // by rank; who is known to nobody goes before far terms only
	for _, who := range slices.Backward(brought) {
		w.step(w.sold(t, "elsewhere", who, 0, near))
		if r := w.answer().Refusal; r != nil || !w.l.Accused(keyOf(who).Principal(), w.now) {
			t.Fatalf("the proof about %s is not kept: %v", who, r)
		}
	}
	w.same()
	facts := 0
	for i := range 1000 {
		in := w.capacities(t, fmt.Sprint("later", i), Term{w.now, w.now + 86400 - int64(i)})
		if i%2 == 0 {
			in = w.sold(t, fmt.Sprint("later", i), fmt.Sprint("seller", i/3*2), 0, Term{w.now + far, w.now + 2*far + int64(i)})
		}
		w.step(in)
		for _, e := range w.out {
			if _, ok := e.(Fact); ok {
				facts++
			}
		}
	}
	if facts > MaxProofs {
		t.Errorf("%d made-up proofs were written down", facts)
	}
	if n := len(w.l.Proofs()); n != MaxProofs {
		t.Fatalf("%d proofs", n)
	}
	for _, who := range brought {
		if !w.l.Accused(keyOf(who).Principal(), w.now) {
			t.Errorf("the proof about %s was pushed out", who)
		}
	}
	w.refused(w.ask("carol", 10, 600), "local:quarantine")
	w.refused(Issue{Ref: 1, Holder: agent, RSet: RSet{CPU: 1}, Term: near, Degree: 100, Request: w.fresh()}, "local:quarantine")
	w.same()

	// What is found here goes before all that is told.
	chain := w.give("dave", 1000, 100)
	w.granted(w.redeem("alice", w.pass(chain, "dave", "alice", 0, 500), 0, 1, 600))
	w.granted(w.redeem("bob", w.pass(chain, "dave", "bob", 0, 500), 0, 1, 600))
	w.provedAgainst(keyOf("dave").Principal(), 1)
	if !w.l.Accused(keyOf("dave").Principal(), w.now) {
		t.Error("what was found here is not kept")
	}
	w.same()
	w.crash()
	w.refused(w.ask("carol", 10, 600), "local:quarantine")
}

// A crowd of one node's, and many proofs against one principal, go before others
// that matter as much.
func TestACrowdGoesFirst(t *testing.T) {
	for name, crowd := range map[string]func(w *world, i int) Accuse{
		"of one node's sellers": func(w *world, i int) Accuse {
			return w.sold(t, "market", fmt.Sprint("seller", i), 0, Term{w.now, w.now + 86400})
		},
		"against one principal": func(w *world, i int) Accuse {
			return w.sold(t, fmt.Sprint("market", i), "seller", 0, Term{w.now, w.now + 86400 - int64(i)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := bigWorld(t)
			for i := range MaxProofs {
				w.step(crowd(w, i))
			}
			for i := range MaxProofs / 2 {
				w.step(w.capacities(t, fmt.Sprint("node", i), Term{w.now, w.now + 3600}))
				if r := w.answer().Refusal; r != nil {
					t.Fatalf("proof %d: %v", i, r)
				}
			}
			w.step(crowd(w, MaxProofs))
			if r := w.answer().Refusal; r == nil || r.Code() != "local:bound" {
				t.Fatalf("one more of the crowd: %v", r)
			}
			if n := len(w.l.Proofs()); n != MaxProofs || !w.l.Accused(keyOf("node0").Principal(), w.now) {
				t.Fatalf("%d proofs", n)
			}
			w.same()
		})
	}
}

// What an accused has here may end: what is kept then is the same after a crash.
func TestConcernsChange(t *testing.T) {
	w := bigWorld(t)
	who := func(i int) string { return fmt.Sprint("holder", i) }
	for i := range MaxProofs / 2 {
		w.granted(w.ask(who(i), 1, 100+int64(i)))
		w.step(w.sold(t, fmt.Sprint("node", i), who(i), 0, Term{w.now, w.now + 86400}))
		w.step(w.capacities(t, fmt.Sprint("other", i), Term{w.now, w.now + 86400}))
	}
	first := keyOf(who(0)).Principal()
	if got := w.l.Concern(Verdict{Principal: first}); got != ConcernWish {
		t.Fatalf("concern %d", got)
	}
	for round := range 4 {
		w.after(1300)
		for i := range 40 {
			w.step(w.sold(t, fmt.Sprint("more", round, "-", i), who(1000+i*round), 0, Term{w.now, w.now + 86400 - int64(i)}))
		}
		w.same()
	}
	if got := w.l.Concern(Verdict{Principal: first}); got != ConcernNone {
		t.Fatalf("concern %d after its lease was forgotten", got)
	}
}
