// SPDX-License-Identifier: Apache-2.0

package binomial

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
)

// Config says what is tried.
type Config struct {
	Units  int
	Degree int     // hundredths
	Redeem float64 // the probability with which a ticket is redeemed
	Trials int
	Hands  int // that a ticket goes through, the agent's the first; 0 is 1
	Seed   uint64

	Ledger func(lease.LedgerConfig) Ledger // nil: the one of package lease
}

// Ledger is what tickets are redeemed at.
type Ledger interface {
	Step(now time.Time, in lease.Input) []lease.Effect
	Proofs() []lease.ProofEntry
}

// epoch is when all begins: any instant will do.
const epoch = 1_800_000_000

// Tickets returns how many are sold at a degree, hundredths: rounded, a half up.
func Tickets(units, degree int) int { return int(math.Round(float64(units*degree) / lease.MinDegree)) }

// market is a node whose units an agent has sold.
type market struct {
	cfg     Config
	node    *sign.Key
	ledger  Ledger
	holders []*holder
	result  Result
}

// holder has one ticket of one unit.
type holder struct {
	key    *sign.Key
	purse  *purse.Purse
	ticket lease.ID
}

func keyOf(name string, i int) *sign.Key {
	return sign.FromSeed(sha256.Sum256(fmt.Appendf(nil, "binomial %s %d", name, i)))
}

// Run tries. The error is ErrConfig, ErrLedger, or ctx's.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg.Hands = max(cfg.Hands, 1)
	n := Tickets(cfg.Units, cfg.Degree)
	if cfg.Units < 1 || cfg.Trials < 1 || !(cfg.Redeem > 0 && cfg.Redeem <= 1) || n < 1 || n > maxTickets {
		return nil, fmt.Errorf("%d tickets on %d units, redeemed with %g, %d trials: %w", n, cfg.Units, cfg.Redeem, cfg.Trials, ErrConfig)
	}
	m := &market{cfg: cfg, node: keyOf("node", 0), result: Result{Config: cfg, Tickets: n}}
	lc := lease.LedgerConfig{Key: m.node, HoldFuse: pace, Pools: []lease.PoolRule{
		{Pool: lease.PoolSharp, Mechanism: lease.MechanismSharp, Capacity: lease.RSet{lease.CPU: uint64(cfg.Units)}}}}
	if m.ledger = lease.NewLedger(lc); cfg.Ledger != nil {
		m.ledger = cfg.Ledger(lc)
	}
	if err := m.sell(n); err != nil {
		return nil, fmt.Errorf("selling %d tickets: %w", n, err)
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.Units)<<32|uint64(n)))
	for trial := range cfg.Trials {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := m.trial(trial, rng); err != nil {
			return nil, fmt.Errorf("trial %d: %w", trial, err)
		}
	}
	m.result.Proofs = len(m.ledger.Proofs())
	return &m.result, nil
}

// sell has the node give all its units to the agent, and the agent sell them. More
// tickets than a claim has slots stand under claims that the agent gives to itself,
// each of as many units as there are below it or of all: so they bind nobody.
func (m *market) sell(n int) error {
	agent := keyOf("agent", 0)
	term := lease.Term{From: epoch, Until: epoch + int64(m.cfg.Trials+1)*pace}
	degree := uint16((n*lease.MinDegree + m.cfg.Units - 1) / m.cfg.Units)
	issued := m.step(0, lease.Issue{Ref: 1, Holder: agent.Principal(), RSet: lease.RSet{lease.CPU: uint64(m.cfg.Units)}, Term: term,
		Degree: max(degree, lease.MinDegree), Request: lease.Request{1}})
	if issued.Refusal != nil {
		return issued.Refusal
	}
	book := purse.New(agent)
	all, err := keep(book, issued.Statements)
	if err != nil {
		return err
	}
	for first := 0; first < n; first += lease.Slots {
		size := min(lease.Slots, n-first)
		under := all
		if n > lease.Slots {
			rset := min(size, m.cfg.Units)
			chain, err := give(book, all, agent.Principal(), rset, (size*lease.MinDegree+rset-1)/rset, term, first)
			if err != nil {
				return err
			}
			if under, err = leaf(chain); err != nil {
				return err
			}
		}
		for i := first; i < first+size; i++ {
			h := &holder{key: keyOf("holder", i)}
			if h.ticket, h.purse, err = m.pass(book, under, i, h.key, term); err != nil {
				return err
			}
			m.holders = append(m.holders, h)
		}
	}
	return nil
}

// pass has a ticket of one unit go from hand to hand to whoever redeems it.
func (m *market) pass(book *purse.Purse, under lease.ID, i int, to *sign.Key, term lease.Term) (id lease.ID, last *purse.Purse, err error) {
	for hand := 1; hand <= m.cfg.Hands; hand++ {
		next := to
		if hand < m.cfg.Hands {
			next = keyOf(fmt.Sprint("hand ", hand), i)
		}
		chain, err := give(book, under, next.Principal(), 1, lease.MinDegree, term, i)
		if err != nil {
			return id, nil, err
		}
		book = purse.New(next)
		if under, err = keep(book, chain); err != nil {
			return id, nil, err
		}
	}
	return under, book, nil
}

// trial has each holder redeem or not, in random order.
func (m *market) trial(n int, rng *rand.Rand) error {
	at := int64(n) * pace
	now := time.Unix(epoch+at, 0)
	term := lease.Term{From: now.Unix(), Until: now.Unix() + pace/2}
	leased, refused := 0, 0
	for _, i := range rng.Perm(len(m.holders)) {
		if rng.Float64() >= m.cfg.Redeem {
			continue
		}
		h := m.holders[i]
		drawn, err := release(h.purse.Step(now, purse.Redeem{Ticket: h.ticket, Slot: purse.AnySlot, RSet: lease.RSet{lease.CPU: 1}, Term: term,
			Slice: "s", Request: lease.Request{byte(n), byte(n >> 8), 1}}))
		if err != nil {
			return err
		}
		m.result.Redeems++
		held := m.step(at, lease.Wish{Ref: 1, Caller: h.key.Principal(), Chain: drawn})
		if r := held.Refusal; r != nil {
			if r.Sort != lease.Oversubscribed {
				return fmt.Errorf("%w: %w", ErrLedger, r)
			}
			refused++
			continue
		}
		if err := m.commit(at, h, drawn, held); err != nil {
			return err
		}
		leased++
	}
	m.result.Refused += refused
	m.result.Leased += leased
	m.result.Most = max(m.result.Most, leased)
	if refused > 0 {
		m.result.Conflicts++
	}
	return nil
}

// commit turns a hold into a lease, each verified by its holder.
func (m *market) commit(at int64, h *holder, drawn [][]byte, held lease.Answer) error {
	wish, err := lease.Open(drawn[len(drawn)-1])
	if err != nil || len(held.Statements) == 0 {
		return fmt.Errorf("holding: %w (%v)", ErrLedger, err)
	}
	hold, err := lease.VerifyAnswer(wish, held.Statements[0])
	if err != nil {
		return fmt.Errorf("holding: %w: %w", ErrLedger, err)
	}
	leased := m.step(at, lease.Commit{Ref: 1, Caller: h.key.Principal(), Hold: hold.ID})
	if leased.Refusal != nil || len(leased.Statements) == 0 {
		return fmt.Errorf("committing: %w: %v", ErrLedger, leased.Refusal)
	}
	if _, err := lease.VerifyAnswer(wish, leased.Statements[0]); err != nil {
		return fmt.Errorf("committing: %w: %w", ErrLedger, err)
	}
	return nil
}

func (m *market) step(at int64, in lease.Input) (answer lease.Answer) {
	for _, e := range m.ledger.Step(time.Unix(epoch+at, 0), in) {
		switch e := e.(type) {
		case lease.Answer:
			answer = e
		case lease.Fact:
			m.result.Facts++
		}
	}
	return answer
}
