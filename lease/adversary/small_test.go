// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// In a small world nothing is left to chance: every set of up to three children
// that an agent could sign under one ticket, brought to the node in every order.
// The ledger holds a proof exactly if the rule, word for word, finds a conflict,
// and the proof verifies; no claim is drawn beyond its rset in any of them; and
// what is refused is refused for a reason that is shown.

func TestEverySmallWorld(t *testing.T) {
	// One node gives one ticket; all worlds start from the journal that this leaves.
	cfg := config()
	cfg.HoldFuse, cfg.ActivateFuse = 100, 100
	l := lease.NewLedger(cfg)
	var journal []lease.Fact
	var given [][]byte
	issue := lease.Issue{Ref: 1, Holder: leasetest.Who("agent"), RSet: lease.RSet{lease.CPU: 2}, Term: lease.Term{From: epoch, Until: epoch + horizon},
		Degree: 150, Request: lease.Request{1}}
	for _, e := range l.Step(time.Unix(epoch, 0), issue) {
		switch e := e.(type) {
		case lease.Fact:
			journal = append(journal, e)
		case lease.Answer:
			given = e.Statements
		}
	}
	children := alphabet(t, given)
	s := small{t: t, cfg: cfg, journal: journal, given: given}
	for i := range children {
		for j := range children {
			s.play(children[i], children[j])
			if testing.Short() || i == j {
				continue
			}
			// A third child only in ascending order of the first two: the order of three
			// is the histories' to vary.
			for k := j + 1; j > i && k < len(children); k++ {
				s.play(children[k], children[i], children[j])
			}
		}
	}
	t.Logf("%d worlds, %d with a conflict, %d wishes refused", s.worlds, s.conflicts, s.refused)
	if s.conflicts == 0 || s.conflicts == s.worlds || s.refused == 0 {
		t.Error("the worlds are all alike")
	}
}

// wished is a child of the agent's ticket, and the wish that brings it.
type wished struct {
	name  string
	child lease.Opened
	wish  lease.Wish
}

// alphabet is every child of two slots, two terms and two amounts: a redeem, or a
// ticket of either degree with the redeem that brings it to light.
func alphabet(t *testing.T, given [][]byte) (list []wished) {
	agent := leasetest.Key("agent")
	sign := func(st lease.Statement) lease.Opened {
		s, err := lease.Seal(st, agent)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	ticket, err := lease.Open(given[1])
	if err != nil {
		t.Fatal(err)
	}
	redeem := func(parent lease.ID, slot uint8, cpu uint64, term lease.Term) lease.Opened {
		return sign(&lease.Redeem{K: lease.KindRedeem, Issuer: agent.Principal(), Node: leasetest.Who("n1"), RSet: lease.RSet{lease.CPU: cpu},
			From: term.From, Until: term.Until, Parent: parent, Slot: slot, Slice: "s", Request: lease.Request{byte(len(list) + 1)}})
	}
	add := func(name string, path ...lease.Opened) {
		list = append(list, wished{name, path[0], lease.Wish{Ref: 1, Caller: agent.Principal(), Chain: append(slices.Clone(given), bytesOf(path)...)}})
	}
	for slot := range uint8(2) {
		for _, term := range []lease.Term{{From: epoch, Until: epoch + 20}, {From: epoch + 10, Until: epoch + 30}} {
			for cpu := uint64(1); cpu <= 2; cpu++ {
				name := fmt.Sprintf("%d(cpu=%d from %d)", slot, cpu, term.From-epoch)
				add("r"+name, redeem(ticket.ID, slot, cpu, term))
				for _, degree := range []uint16{100, 150} {
					k := sign(&lease.Ticket{K: lease.KindTicket, Issuer: agent.Principal(), Node: leasetest.Who("n1"), RSet: lease.RSet{lease.CPU: cpu},
						From: term.From, Until: term.Until, Degree: degree, Holder: agent.Principal(), Parent: ticket.ID, Slot: slot})
					add(fmt.Sprintf("t%s@%d", name, degree), k, redeem(k.ID, 0, 1, term))
				}
			}
		}
	}
	return list
}

type small struct {
	t                          *testing.T
	cfg                        lease.LedgerConfig
	journal                    []lease.Fact
	given                      [][]byte
	worlds, conflicts, refused int
}

// play brings the children to a node in that order.
func (s *small) play(list ...wished) {
	s.worlds++
	l := lease.NewLedger(s.cfg)
	for _, f := range s.journal {
		if err := l.Restore(f); err != nil {
			s.t.Fatal(err)
		}
	}
	parent, err := lease.Open(s.given[1])
	if err != nil {
		s.t.Fatal(err)
	}
	var children []child
	for _, w := range list {
		for _, e := range l.Step(time.Unix(epoch, 0), w.wish) {
			if a, ok := e.(lease.Answer); ok && a.Refusal != nil {
				s.refused++
				s.refusal(a, w)
			}
		}
		if _, c := childOf(w.child); !slices.ContainsFunc(children, func(o child) bool { return o.ID == c.ID }) {
			children = append(children, c)
		}
	}
	found := bruteConflicts(parent, children)
	proofs := l.Proofs()
	if (len(found) > 0) != (len(proofs) > 0) {
		s.t.Fatalf("%s: brute force finds %d conflicts, the ledger keeps %d proofs", s.name(list), len(found), len(proofs))
	}
	for _, p := range proofs {
		_, v, err := lease.VerifyProof(p.Proof)
		if err != nil || v.Principal != leasetest.Who("agent") || v.About != parent.ID {
			s.t.Fatalf("%s: the proof says %+v, %v", s.name(list), v, err)
		}
	}
	if len(found) > 0 {
		s.conflicts++
	}
	var drawn [horizon]uint64
	for _, e := range l.Leases() {
		for at := e.Term.From; at < e.Term.Until; at++ {
			if drawn[at-epoch] += e.RSet[lease.CPU]; drawn[at-epoch] > 2 {
				s.t.Fatalf("%s: more than the ticket is drawn at %d", s.name(list), at-epoch)
			}
		}
	}
}

// refusal: whatever is refused for want of room says with proof whose doing it is.
func (s *small) refusal(a lease.Answer, w wished) {
	if a.Refusal.Sort == lease.Local {
		if a.Refusal.Reason != lease.ReasonSlot && a.Refusal.Reason != lease.ReasonQuarantine {
			s.t.Fatalf("%s: refused %s", w.name, a.Refusal.Code())
		}
		return
	}
	chain, err := lease.VerifyChain(w.wish.Chain, s.cfg.Key.Principal())
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := lease.VerifyAnswer(chain.Leaf(), a.Statements[0])
	if err == nil {
		err = lease.VerifyAttachment(chain, answer.Statement.(*lease.Reject), a.Refusal.Attachment)
	}
	if err != nil {
		s.t.Fatalf("%s: refused %s, which is not borne out: %v", w.name, a.Refusal.Code(), err)
	}
}

func (s *small) name(list []wished) (name string) {
	for _, w := range list {
		name += " + " + w.name
	}
	return name[3:]
}
