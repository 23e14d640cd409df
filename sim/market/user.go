// SPDX-License-Identifier: Apache-2.0

package market

import (
	"fmt"
	"math/rand/v2"
	"time"

	"croft/lease"
	"croft/lease/purse"
	"croft/lease/sign"
	"croft/node/agent"
)

// user wants a machine now and then, of any site.
type user struct {
	site  *site
	key   *sign.Key
	purse *purse.Purse
	rng   *rand.Rand // so that the same is wanted whatever becomes of it
	n     int        // wishes so far
}

// pause is how long a user waits until the next wish: exponentially, so that the
// wishes of all come at random.
func (u *user) pause() time.Duration {
	each := float64(mean) * users / (u.site.m.cfg.Load * units)
	return time.Duration(u.rng.ExpFloat64() * each)
}

// want is one wish, from the first question to the lease or to nothing.
func (u *user) want() {
	m := u.site.m
	m.in(u.pause(), u.want)
	u.n++
	length := shortly + time.Duration(u.rng.Int64N(int64(longest-shortly)))
	term := lease.Term{From: m.now.Unix()}
	term.Until = term.From + int64(length.Seconds())
	for _, c := range m.counts(u.site) {
		c.Wishes++
	}
	var not []lease.Principal // nodes that have refused
	for range tries {
		s, chain := u.ticket(term, not)
		if chain == nil {
			if len(not) == 0 {
				for _, c := range m.counts(u.site) {
					c.Empty++
				}
			}
			return
		}
		node := m.nodeOf(chain)
		refusal, err := u.redeem(node, chain, term, len(not))
		switch {
		case err != nil:
			m.err = fmt.Errorf("redeeming: %w", err)
			return
		case refusal == nil:
			m.leased(term)
			for _, c := range m.counts(u.site) {
				c.Served++
			}
			return
		}
		for _, c := range m.counts(u.site) {
			c.refuse(refusal.Code(), 1)
		}
		s.tell(agent.Complaint{By: u.key.Principal(), Node: node.node.Principal(), Code: refusal.Code()})
		not = append(not, node.node.Principal())
	}
}

// ticket asks the own agent, then the others' in an order of chance.
func (u *user) ticket(term lease.Term, not []lease.Principal) (*site, [][]byte) {
	m := u.site.m
	ask := []*site{u.site}
	for _, i := range m.rng.Perm(len(m.sites)) {
		if m.sites[i] != u.site {
			ask = append(ask, m.sites[i])
		}
	}
	for _, s := range ask {
		if s.dead {
			continue
		}
		answer := s.tell(agent.Wish{Ref: m.ref(), By: u.key.Principal(), RSet: lease.RSet{lease.CPU: unit}, Term: term, Not: not})
		if answer.Err == nil {
			return s, answer.Chain
		}
	}
	return nil, nil
}

// nodeOf is the site on whose node a chain stands.
func (m *market) nodeOf(chain [][]byte) *site {
	root, err := lease.Open(chain[0])
	for _, s := range m.sites {
		if err == nil && s.node.Principal() == root.By() {
			return s
		}
	}
	panic("a chain of a node that is not there")
}

// redeem draws on a ticket, and has the lease activated if it comes to one.
func (u *user) redeem(at *site, chain [][]byte, term lease.Term, try int) (*lease.Refusal, error) {
	m := u.site.m
	if _, err := release(u.purse.Step(m.now, purse.Keep{Chain: chain})); err != nil {
		return nil, err
	}
	leaf, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		return nil, err
	}
	drawn, err := release(u.purse.Step(m.now, purse.Redeem{Ticket: leaf.ID, Slot: purse.AnySlot, RSet: lease.RSet{lease.CPU: unit}, Term: term,
		Slice: "work", Request: lease.Request{byte(u.n), byte(u.n >> 8), byte(try)}}))
	if err != nil {
		return nil, err
	}
	me := u.key.Principal()
	hold := at.step(lease.Wish{Ref: m.ref(), Caller: me, Chain: drawn})
	if hold.Refusal != nil {
		return hold.Refusal, nil
	}
	held, err := lease.VerifyAnswer(mustOpen(drawn[len(drawn)-1]), hold.Statements[0])
	if err != nil {
		return nil, err
	}
	leased := at.step(lease.Commit{Ref: m.ref(), Caller: me, Hold: held.ID})
	if leased.Refusal != nil {
		return leased.Refusal, nil
	}
	active := at.step(lease.Activate{Ref: m.ref(), Caller: me, Lease: mustOpen(leased.Statements[0]).ID, Program: []byte("work")})
	return active.Refusal, nil
}

func mustOpen(b []byte) lease.Opened {
	o, err := lease.Open(b)
	if err != nil {
		panic(err) // a ledger or purse of this process signed it
	}
	return o
}
