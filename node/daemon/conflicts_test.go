// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/leasetest"
	"croft/node/api"
)

// twice is the proof that a node set one tranche aside twice, from now on.
func twice(t *testing.T, name string, now time.Time) []byte {
	t.Helper()
	var set [2]lease.Signed
	for i := range set {
		var err error
		set[i], err = lease.Seal(&lease.Capacity{K: lease.KindCapacity, Node: leasetest.Who(name), RSet: lease.RSet{lease.CPU: uint64(i) + 1},
			From: now.Unix(), Until: now.Unix() + 3600, Degree: lease.MinDegree}, leasetest.Key(name))
		if err != nil {
			t.Fatal(err)
		}
	}
	if a, b := set[0].ID(), set[1].ID(); bytes.Compare(a[:], b[:]) > 0 {
		set[0], set[1] = set[1], set[0]
	}
	return lease.Proof{K: lease.ProofCapacity, Evidence: [][]byte{set[0].Bytes(), set[1].Bytes()}}.Bytes()
}

func (l *life) proofs() []lease.ProofEntry {
	l.t.Helper()
	list, err := look(l.t.Context(), l.d, func(b *lease.Ledger) []lease.ProofEntry { return b.Proofs() })
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func TestWhatTheNetworkProvesReachesTheLedger(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		m.settle()
		l.whisper("bob", twice(t, "liar", m.Wall()))
		if own := l.proofs(); len(own) != 1 || own[0].Principal != leasetest.Who("liar") {
			t.Fatalf("the ledger knows %v", own)
		}
		list, err := l.d.Node().Conflicts.Conflicts(t.Context())
		if err != nil || len(list) != 1 || list[0].By != leasetest.Who("bob") || list[0].Kind != "capacity" || list[0].Quarantine <= m.Wall().Unix() {
			t.Errorf("listed %+v, %v", list, err)
		}
		if len(m.told) != 0 {
			t.Error("what came by gossip is published again")
		}
		issue := func(to string) *api.Refusal {
			now := m.Wall().Unix()
			a, err := l.d.Node().Owner.Issue(t.Context(), api.IssueRequest{Holder: leasetest.Who(to), RSet: lease.RSet{lease.CPU: 1}, From: now, Until: now + 60})
			if err != nil {
				t.Fatal(err)
			}
			return a.Refusal
		}
		if r := issue("liar"); r == nil || r.Code != "local:quarantine" {
			t.Errorf("a ticket for the liar: %v", r)
		}
		if r := issue("alice"); r != nil {
			t.Errorf("no ticket for alice: %v", r)
		}
	})
}

// A proof about a stranger finds no place in a ledger that is full of such; when
// the stranger has a lease here it is shown to the ledger again, and kept.
func TestAProofComesAgainWhenItConcernsTheNode(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		m.settle()
		for i := range lease.MaxProofs {
			l.whisper(fmt.Sprint("neighbour", i%50), twice(t, fmt.Sprint("liar", i), m.Wall()))
		}
		knows := func() bool {
			return slices.ContainsFunc(l.proofs(), func(e lease.ProofEntry) bool { return e.Principal == leasetest.Who("carol") })
		}
		l.whisper("bob", twice(t, "carol", m.Wall()))
		m.pass(2 * compareEvery)
		if knows() {
			t.Fatal("a stranger's proof takes the place of another's")
		}
		now := m.Wall().Unix()
		ask := &lease.Ask{K: lease.KindAsk, Issuer: leasetest.Who("carol"), Node: leasetest.Who("node"), RSet: lease.RSet{lease.CPU: 1}, From: now,
			Until: now + 3600, Slice: "ron", Pool: lease.PoolCommons, Request: lease.Request{1}}
		signed, err := lease.Seal(ask, leasetest.Key("carol"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.d.Node().Claims.Wish(t.Context(), api.Caller{Principal: leasetest.Who("carol")}, [][]byte{signed.Bytes()})
		if err != nil || a.Refusal != nil {
			t.Fatalf("%v, %v", a.Refusal, err)
		}
		m.pass(compareEvery)
		if n := len(l.proofs()); !knows() || n != lease.MaxProofs {
			t.Errorf("the ledger keeps %d proofs, carol's among them: %v", n, knows())
		}
	})
}

func TestWhatTheOwnerProvesIsToldOnceAndSurvives(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		m.settle()
		proof := twice(t, "liar", m.Wall())
		if _, err := l.d.Node().Conflicts.Accuse(t.Context(), proof[:len(proof)-1]); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("half a proof: %v", err)
		}
		c, err := l.d.Node().Conflicts.Accuse(t.Context(), proof)
		if err != nil || !bytes.Equal(c.Proof, proof) || !c.By.IsZero() {
			t.Fatalf("%+v, %v", c, err)
		}
		m.pass(3 * compareEvery)
		if len(m.told) != 1 || !bytes.Equal(m.told[0], proof) {
			t.Errorf("told %d times", len(m.told))
		}
		l.kill()
		l = m.boot()
		m.pass(3 * compareEvery)
		if got, err := l.d.Node().Conflicts.Proof(t.Context(), c.ID); err != nil || !bytes.Equal(got.Proof, proof) {
			t.Errorf("after a restart: %+v, %v", got, err)
		}
		if len(m.told) != 1 {
			t.Errorf("told again after a restart: %d times", len(m.told))
		}
		if _, err := l.d.Node().Conflicts.Proof(t.Context(), lease.ID{1}); !errors.Is(err, api.ErrNoProof) {
			t.Errorf("a proof that nobody has: %v", err)
		}
	})
}

// An agent promises 1501 of the 1500 that 1000 at degree 150 are: each user
// redeems, the third is refused with the proof, and the network hears of it.
func TestWhatTheLedgerFindsIsToldToTheNetwork(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		now := m.Wall().Unix()
		issued, err := l.d.Node().Owner.Issue(t.Context(), api.IssueRequest{Holder: leasetest.Who("agent"), RSet: lease.RSet{lease.CPU: 1000},
			From: now, Until: now + 3600, Degree: 150})
		if err != nil || issued.Refusal != nil {
			t.Fatalf("%v, %v", issued.Refusal, err)
		}
		parent, err := lease.Open(issued.Statements[len(issued.Statements)-1])
		if err != nil {
			t.Fatal(err)
		}
		var last api.Answer
		for i, cpu := range []uint64{500, 500, 501} {
			user := []string{"alice", "bob", "carol"}[i]
			ticket, err := lease.Seal(&lease.Ticket{K: lease.KindTicket, Issuer: leasetest.Who("agent"), Node: leasetest.Who("node"), Holder: leasetest.Who(user),
				Parent: parent.ID, Slot: uint8(i), RSet: lease.RSet{lease.CPU: cpu}, From: now, Until: now + 3600, Degree: 100}, leasetest.Key("agent"))
			if err != nil {
				t.Fatal(err)
			}
			redeem, err := lease.Seal(&lease.Redeem{K: lease.KindRedeem, Issuer: leasetest.Who(user), Node: leasetest.Who("node"), Parent: ticket.ID(),
				RSet: lease.RSet{lease.CPU: cpu}, From: now, Until: now + 3600, Slice: "ron", Request: lease.Request{byte(i) + 1}}, leasetest.Key(user))
			if err != nil {
				t.Fatal(err)
			}
			chain := append(append([][]byte{}, issued.Statements...), ticket.Bytes(), redeem.Bytes())
			if last, err = l.d.Node().Claims.Wish(t.Context(), api.Caller{Principal: leasetest.Who(user)}, chain); err != nil || (last.Refusal != nil) != (i == 2) {
				t.Fatalf("%s: %v, %v", user, last.Refusal, err)
			}
		}
		if last.Refusal.Sort != "over-issued" {
			t.Errorf("refused: %v", last.Refusal)
		}
		m.settle()
		if len(m.told) != 1 {
			t.Fatalf("told %d proofs", len(m.told))
		}
		if _, shown, err := lease.VerifyProof(m.told[0]); err != nil || shown.Principal != leasetest.Who("agent") || !bytes.Equal(m.told[0], last.Refusal.Attachment) {
			t.Errorf("told %+v, %v", shown, err)
		}
	})
}

// A network that takes nothing loses nothing: it is told later.
func TestAProofIsToldUntilItIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		m.fail("accuse", errors.New("no way out"))
		l := m.boot()
		m.settle()
		if _, err := l.d.ask(t.Context(), func(ref uint64) lease.Input { return lease.Accuse{Ref: ref, Proof: twice(t, "liar", m.Wall())} }); err != nil {
			t.Fatal(err)
		}
		m.pass(2 * compareEvery)
		before := len(m.told)
		m.fail("accuse", nil)
		m.pass(2 * compareEvery)
		if before == 0 || len(m.told) != before+1 {
			t.Errorf("tried %d times while it failed, %d after", before, len(m.told)-before)
		}
	})
}

// rumourModel is what one daemon keeps of proofs; it tells the world.
type rumourModel struct{ l *life }

func (r rumourModel) Accuse(_ context.Context, proof []byte) error {
	r.l.mu.Lock()
	r.l.told = append(r.l.told, proof)
	err := r.l.failing["accuse"]
	r.l.mu.Unlock()
	if err != nil {
		return err
	}
	return r.Keep(proof, false)
}

func (r rumourModel) Keep(proof []byte, _ bool) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.l.dead {
		return errDead
	}
	if v := r.l.rumours.Step(r.l.Wall(), gossip.Local{Bytes: proof})[0].(gossip.Verdict); v.Judgement == judge.Reject {
		return fmt.Errorf("%s: %w", v, lease.ErrSyntax)
	}
	return nil
}

func (r rumourModel) Kept() []gossip.Proven {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	return r.l.rumours.Proven()
}

func (r rumourModel) Heard() <-chan struct{} { return r.l.heard }

// whisper has a neighbour tell the daemon of a proof.
func (l *life) whisper(neighbour string, proof []byte) {
	l.mu.Lock()
	v := l.rumours.Step(l.Wall(), gossip.Received{Bytes: proof, From: leasetest.Who(neighbour)})[0]
	l.mu.Unlock()
	if v != (gossip.Verdict{Judgement: judge.Accept}) {
		l.t.Errorf("the proof is not kept: %s", v)
	}
	l.heard <- struct{}{}
	l.settle()
}
