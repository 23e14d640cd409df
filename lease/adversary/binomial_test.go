// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// An agent has K units at some degree and gives degree × K unit tickets, each of
// which is redeemed with probability p. How often somebody is refused, how many
// are, and how full the node is, follows the binomial law. The law is summed up
// here, held against the published figures, and then seen: real tickets are
// redeemed at a real ledger, with seeds that are fixed, and every figure lies
// within four standard errors of the law's.
var binomial = []struct {
	units, tickets      int
	p                   float64
	conflict, rejected  float64 // probability that anybody is refused; part of redeems that are
	used                float64 // of the units
	conflictTo, usageTo float64 // half of the last digit that is published
}{
	{10, 15, .5, .059, .011, .74, .0006, .006},
	{10, 20, .5, .412, .088, .91, .0006, .006},
	{10, 30, .5, .951, .336, 1.0, .0006, .006},
	{10, 11, .7, .020, .003, .77, .0006, .006},
	{10, 13, .7, .203, .030, .88, .0016, .006}, // 1.25 × 10, rounded to 13
	{10, 15, .7, .516, .093, .95, .0006, .006},
	{10, 20, .7, .952, .287, 1.0, .0006, .006},
	{10, 11, .9, .314, .032, .96, .0006, .006},
	{10, 13, .9, .866, .149, 1.0, .0006, .006},
	{100, 150, .5, .000, .000, .75, .0006, .006},
	{100, 200, .5, .472, .028, .97, .0006, .006},
	{100, 300, .5, 1.0, .333, 1.0, .0006, .006},
	{100, 125, .7, .004, .0001, .88, .0006, .006},
	{100, 150, .7, .790, .053, .99, .0006, .006},
	{100, 200, .7, 1.0, .286, 1.0, .0006, .006},
	{100, 110, .9, .329, .008, .98, .0006, .006},
	{100, 125, .9, .999, .111, 1.0, .0006, .006},
}

// law is what n redeems with probability p do to k units.
type law struct{ conflict, wished, rejected, rejectedVar, used, usedVar float64 }

func lawOf(k, n int, p float64) (l law) {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	for b := range n + 1 {
		q := math.Exp(lg(n) - lg(b) - lg(n-b) + float64(b)*math.Log(p) + float64(n-b)*math.Log(1-p))
		over, used := float64(max(b-k, 0)), float64(min(b, k))
		if over > 0 {
			l.conflict += q
		}
		l.wished += q * float64(b)
		l.rejected += q * over
		l.rejectedVar += q * over * over
		l.used += q * used
		l.usedVar += q * used * used
	}
	l.rejectedVar -= l.rejected * l.rejected
	l.usedVar -= l.used * l.used
	return l
}

func TestRefusalsFollowTheBinomialLaw(t *testing.T) {
	redeems := 0
	for i, c := range binomial {
		name := fmt.Sprintf("%d units, %d tickets, p=%g", c.units, c.tickets, c.p)
		l := lawOf(c.units, c.tickets, c.p)
		if math.Abs(l.conflict-c.conflict) > c.conflictTo || math.Abs(l.rejected/l.wished-c.rejected) > .0006 ||
			math.Abs(l.used/float64(c.units)-c.used) > c.usageTo {
			t.Errorf("%s: the law gives %.4f %.4f %.3f, published are %.3f %.4f %.2f", name, l.conflict, l.rejected/l.wished,
				l.used/float64(c.units), c.conflict, c.rejected, c.used)
		}
		trials := 60
		if c.units > 10 {
			trials = 6
		}
		m := newMarket(t, c.units, c.tickets, trials)
		r := rand.New(rand.NewPCG(uint64(i), 3))
		var conflicts, rejected, used float64
		for trial := range trials {
			wished, refused := m.trial(trial, r, c.p)
			redeems += wished
			if refused > 0 {
				conflicts++
			}
			rejected += float64(refused)
			used += float64(wished - refused)
		}
		n := float64(trials)
		within := func(what string, got, mean, variance float64) {
			if bound := 4*math.Sqrt(n*max(variance, 0)) + 1; math.Abs(got-n*mean) > bound { // one, for what is whole
				t.Errorf("%s: %s %.0f in %d trials, the law expects %.1f ± %.1f", name, what, got, trials, n*mean, bound)
			}
		}
		within("conflicts", conflicts, l.conflict, l.conflict*(1-l.conflict))
		within("rejected", rejected, l.rejected, l.rejectedVar)
		within("used", used, l.used, l.usedVar)
		t.Logf("%s: conflict %.3f, law %.3f; rejected %.4f, law %.4f; used %.2f, law %.2f", name, conflicts/n, l.conflict,
			rejected/(rejected+used), l.rejected/l.wished, used/n/float64(c.units), l.used/float64(c.units))
	}
	t.Logf("%d redeems", redeems)
}

// market is a node whose capacity an agent has sold in unit tickets, more than
// there is.
type market struct {
	t       *testing.T
	l       *lease.Ledger
	tickets []seller
}

// seller is who holds one unit ticket.
type seller struct {
	key   lease.Signer
	id    lease.ID
	chain [][]byte
}

const pace = 20 // seconds from trial to trial, the first half of which a redeem runs

func newMarket(t *testing.T, units, tickets, trials int) *market {
	var capacity lease.RSet
	capacity[lease.CPU] = uint64(units)
	m := &market{t: t, l: lease.NewLedger(lease.LedgerConfig{Key: leasetest.Key("n1"), HoldFuse: pace,
		Pools: []lease.PoolRule{{Pool: lease.PoolSharp, Capacity: capacity, Mechanism: lease.MechanismSharp}}})}
	agent := leasetest.Key("agent")
	term := lease.Term{From: epoch, Until: epoch + int64(trials+1)*pace}
	a := m.step(0, lease.Issue{Ref: 1, Holder: agent.Principal(), RSet: capacity, Term: term, Degree: uint16(tickets * 100 / units), Request: lease.Request{1}})
	if a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	// More tickets than slots stand under second keys of the agent's: claims of as
	// many units as they have tickets, so that they bind nobody.
	group := tickets
	for group > lease.Slots || tickets%group != 0 {
		group--
	}
	for g := range tickets / group {
		size := lease.RSet{lease.CPU: uint64(group)}
		if units < group {
			size[lease.CPU] = uint64(units)
		}
		above, chain := m.idOf(a.Statements), a.Statements
		if group < tickets {
			above, chain = m.give(agent, agent.Principal(), chain, above, g, size, term)
		}
		for i := range group {
			holder := leasetest.Key(fmt.Sprintf("holder %d", g*group+i))
			id, path := m.give(agent, holder.Principal(), chain, above, i, lease.RSet{lease.CPU: 1}, term)
			m.tickets = append(m.tickets, seller{holder, id, path})
		}
	}
	return m
}

func (m *market) idOf(chain [][]byte) lease.ID {
	o, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		m.t.Fatal(err)
	}
	return o.ID
}

func (m *market) give(by lease.Signer, to lease.Principal, chain [][]byte, parent lease.ID, slot int, s lease.RSet, term lease.Term) (lease.ID, [][]byte) {
	signed := m.seal(&lease.Ticket{K: lease.KindTicket, Issuer: by.Principal(), Node: leasetest.Who("n1"), RSet: s, From: term.From, Until: term.Until,
		Degree: lease.MinDegree, Holder: to, Parent: parent, Slot: uint8(slot)}, by)
	return signed.ID(), append(chain[:len(chain):len(chain)], signed.Bytes())
}

func (m *market) seal(st lease.Statement, by lease.Signer) lease.Signed {
	s, err := lease.Seal(st, by)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *market) step(at int64, in lease.Input) (answer lease.Answer) {
	for _, e := range m.l.Step(time.Unix(epoch+at, 0), in) {
		if a, ok := e.(lease.Answer); ok {
			answer = a
		}
	}
	return answer
}

// trial has everybody redeem with probability p, in random order.
func (m *market) trial(n int, r *rand.Rand, p float64) (wished, refused int) {
	at := int64(n) * pace
	for _, i := range r.Perm(len(m.tickets)) {
		if r.Float64() >= p {
			continue
		}
		k := m.tickets[i]
		s := m.seal(&lease.Redeem{K: lease.KindRedeem, Issuer: k.key.Principal(), Node: leasetest.Who("n1"), RSet: lease.RSet{lease.CPU: 1},
			From: epoch + at, Until: epoch + at + pace/2, Parent: k.id, Slice: "s", Request: lease.Request{byte(n), byte(n >> 8), 1}}, k.key)
		a := m.step(at, lease.Wish{Ref: 1, Caller: k.key.Principal(), Chain: append(k.chain[:len(k.chain):len(k.chain)], s.Bytes())})
		wished++
		if a.Refusal == nil {
			continue
		}
		if a.Refusal.Sort != lease.Oversubscribed {
			m.t.Fatalf("refused: %v", a.Refusal)
		}
		refused++
	}
	return wished, refused
}
