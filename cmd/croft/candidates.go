// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/slice"
)

// ticketFile is a ticket as it was read, before anything is verified.
type ticketFile struct {
	*lease.Ticket
	path  string
	id    lease.ID
	chain [][]byte
}

// readTickets reads the files of --ticket.
func readTickets(paths []string) ([]ticketFile, error) {
	var list []ticketFile
	for _, path := range paths {
		chain, opened, err := readBundle(path)
		if err != nil {
			return nil, err
		}
		leaf := opened[len(opened)-1]
		t, ok := leaf.Statement.(*lease.Ticket)
		if !ok {
			return nil, usage("`croft ticket give` writes one", "%s ends with a %s, not with a ticket", path, leaf.Kind())
		}
		list = append(list, ticketFile{t, path, leaf.ID, chain})
	}
	return list, nil
}

// seekCandidates finds nodes to ask. What is free in the commons says nothing of
// other pools, or of times to come: there the nodes themselves judge.
func (a *app) seekCandidates(ctx context.Context, f runFlags, plan *slice.Plan) error {
	query := f.where
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
func (a *app) ticketCandidates(ctx context.Context, key *sign.Key, tickets []ticketFile, plan *slice.Plan) error {
	for _, t := range tickets {
		err := a.keepTicket(ctx, key, t.chain)
		switch {
		case errors.Is(err, lease.ErrNotHolder):
			return usage("name the holder's key with --key", "%s: %w", t.path, err)
		case err != nil:
			if refusal, ok := refusedByPurse(err); ok {
				return fail(exitRefused, "", "%s: %s", t.path, refusal.Error())
			}
			return usage("ask its issuer for it again", "%s: %w", t.path, err)
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
