// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/slice"
)

// wantedTicket is one to redeem, before it is verified.
type wantedTicket struct {
	rawTicket
	*lease.Ticket
	id lease.ID
}

// wantedTickets reads what --ticket names.
func (a *app) wantedTickets(ctx context.Context, args []string) ([]wantedTicket, error) {
	var list []wantedTicket
	for _, arg := range args {
		raw, err := a.tickets(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, r := range raw {
			leaf, err := lease.Open(r.chain[len(r.chain)-1])
			if err != nil {
				return nil, because(err, usage("`croft ticket verify` draws it; ask its issuer for it again", "%s: %w", r.name, err))
			}
			t, ok := leaf.Statement.(*lease.Ticket)
			if !ok {
				return nil, usage("`croft ticket give` writes one", "%s ends with a %s, not with a ticket", r.name, leaf.Kind())
			}
			list = append(list, wantedTicket{r, t, leaf.ID})
		}
	}
	return list, nil
}

// seekCandidates finds nodes to ask: those that have the pool, and in the commons
// those that have what is wished. What is free in another pool at this moment says
// nothing of times to come, or of what an evictable lease can live on: there the
// nodes themselves judge.
func (a *app) seekCandidates(ctx context.Context, f runFlags, plan *slice.Plan) error {
	query := narrowed(f.where, "pool="+string(plan.Wish.Pool))
	if plan.Wish.Pool == lease.PoolCommons {
		query = atLeast(f.where, plan.Wish.RSet)
	}
	res, err := a.seek(ctx, offer.FindRequest{Query: query, View: f.view != "off", Enough: f.nodes})
	if err != nil {
		return err
	}
	if res.Matched == 0 {
		a.explain(res)
		return fail(exitNothing, res.Nearest, "no node matches, of %d known", res.Known)
	}
	plan.Known, plan.Found = res.Known, removed(res)
	for _, found := range res.Offers {
		plan.Candidates = append(plan.Candidates, candidate(found.Offer))
	}
	return nil
}

// ticketCandidates puts the tickets into the purse: the nodes that they name are
// the only candidates.
func (a *app) ticketCandidates(ctx context.Context, key *sign.Key, tickets []wantedTicket, plan *slice.Plan) error {
	for _, t := range tickets {
		if _, err := a.keepTicket(ctx, key, t.rawTicket); err != nil {
			return err
		}
		c := slice.Candidate{Node: t.Node, Name: t.Node.Short()}
		res, err := a.way().Find(ctx, offer.FindRequest{Query: "node=" + t.Node.String(), View: true})
		if err != nil {
			return err
		}
		if len(res.Offers) > 0 { // else it may be reached all the same
			c = candidate(res.Offers[0].Offer)
		}
		c.Ticket = t.id
		plan.Candidates = append(plan.Candidates, c)
	}
	return nil
}

func candidate(o offer.Offer) slice.Candidate {
	return slice.Candidate{Node: o.Node, Name: o.Display(), Addrs: o.Addrs}
}
