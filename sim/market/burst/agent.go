// SPDX-License-Identifier: Apache-2.0

package burst

import (
	"fmt"

	"croft/lease"
	"croft/lease/purse"
	"croft/sim/market/binomial"
)

// agent holds all units at a degree, and sells them ahead.
type agent struct {
	run     *run
	purse   *purse.Purse
	under   []lease.ID // claims of its own: one has no more slots than some
	tickets map[int]sold
}

// sold is a ticket in somebody's purse.
type sold struct {
	purse *purse.Purse
	id    lease.ID
}

// group is how many tickets stand under one claim at an instant: half of its slots,
// as terms that overlap in part leave gaps in them.
const group = lease.Slots / 2

func newAgent(r *run) (*agent, error) {
	key := keyOf("agent", 0)
	a := &agent{run: r, purse: purse.New(key), tickets: map[int]sold{}}
	n := binomial.Tickets(r.cfg.Units, r.cfg.Degree)
	term := lease.Term{From: epoch.Unix(), Until: epoch.Add(r.cfg.deadline() + 2*After).Unix()}
	degree := uint16((n*lease.MinDegree + r.cfg.Units - 1) / r.cfg.Units)
	issued := r.node.step(lease.Issue{Ref: 1, Holder: key.Principal(), RSet: lease.RSet{lease.CPU: uint64(r.cfg.Units) * unit}, Term: term,
		Degree: max(degree, lease.MinDegree), Request: lease.Request{1}})
	if issued.Refusal != nil {
		return nil, fmt.Errorf("giving to the agent: %w", issued.Refusal)
	}
	all, err := a.keep(a.purse, issued.Statements)
	if err != nil {
		return nil, err
	}
	for first := 0; first < n; first += group {
		size := min(group, n-first)
		whole := min(size, r.cfg.Units)
		chain, err := release(a.purse.Step(epoch, purse.Give{Ticket: all, Slot: purse.AnySlot, Holder: key.Principal(), RSet: lease.RSet{lease.CPU: uint64(whole) * unit},
			Term: term, Degree: uint16((size*lease.MinDegree + whole - 1) / whole), Request: lease.Request{byte(first), byte(first >> 8), 2}}))
		if err != nil {
			return nil, fmt.Errorf("making a claim of %d tickets: %w", size, err)
		}
		o, err := lease.Open(chain[len(chain)-1])
		if err != nil {
			return nil, err
		}
		a.under = append(a.under, o.ID)
	}
	return a, nil
}

func (a *agent) keep(book *purse.Purse, chain [][]byte) (lease.ID, error) {
	if _, err := release(book.Step(epoch.Add(a.run.now), purse.Keep{Chain: chain})); err != nil {
		return lease.ID{}, fmt.Errorf("keeping a ticket: %w", err)
	}
	o, err := lease.Open(chain[len(chain)-1])
	return o.ID, err
}

// sell gives somebody a ticket, while the budget lasts.
func (a *agent) sell(w *wish) error {
	for _, under := range a.under {
		chain, err := release(a.purse.Step(epoch.Add(a.run.now), purse.Give{Ticket: under, Slot: purse.AnySlot, Holder: person(w).Principal(),
			RSet: lease.RSet{lease.CPU: unit}, Term: w.term(), Degree: lease.MinDegree, Request: w.request()}))
		if err != nil {
			continue // it has promised all of this claim
		}
		book := purse.New(person(w))
		id, err := a.keep(book, chain)
		if err != nil {
			return err
		}
		a.tickets[w.n] = sold{book, id}
		return nil
	}
	w.refused = "sold out"
	return nil
}

// redeem has somebody come with a ticket.
func (a *agent) redeem(w *wish) error {
	t := a.tickets[w.n]
	delete(a.tickets, w.n)
	drawn, err := release(t.purse.Step(epoch.Add(a.run.now), purse.Redeem{Ticket: t.id, Slot: purse.AnySlot, RSet: lease.RSet{lease.CPU: unit}, Term: w.term(),
		Slice: "work", Request: w.request()}))
	if err != nil {
		return fmt.Errorf("redeeming: %w", err)
	}
	id, no, err := a.run.node.lease(person(w).Principal(), drawn)
	if no != nil {
		w.refuse(no)
		return nil
	}
	if err != nil {
		return err
	}
	return a.run.node.activate(w, id)
}

// release is what a purse hands out.
func release(effects []purse.Effect) (chain [][]byte, err error) {
	for _, e := range effects {
		switch e := e.(type) {
		case purse.Release:
			chain = e.Chain
		case purse.Refuse:
			err = e.Err
		}
	}
	return chain, err
}
