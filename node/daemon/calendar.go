// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"croft/lease"
	"croft/node/api"
)

const (
	// calendarTerm is the part of the books that is shown unless told.
	calendarTerm = 24 * 3600

	// maxCalendarClaims bounds the leases that are listed with one pool.
	maxCalendarClaims = 4096

	// maxPromised bounds the claims that are listed: a market's, some 500 KiB.
	maxPromised = 1024
)

// Vacancies says when the caller would be granted a lease. It is a hint: nothing
// is held.
func (c claims) Vacancies(ctx context.Context, by api.Caller, req api.VacancyRequest) (api.Vacancies, error) {
	if c.d.deps.Hosting == nil {
		return api.Vacancies{}, api.ErrVisitor
	}
	return look(ctx, c.d, func(l *lease.Ledger) api.Vacancies {
		list, seen, why := l.Windows(lease.Vacancy{Pool: lease.Pool(req.Pool), By: by.Principal, Source: api.Source(ctx), RSet: req.RSet, Exclusive: req.Exclusive,
			Length: req.Length, Within: lease.Term{From: req.From, Until: req.Until}})
		if list == nil {
			list = []lease.Term{}
		}
		return api.Vacancies{Windows: list, Seen: seen, Refusal: api.NewRefusal(why)}
	})
}

// Calendar reads the books over a term.
func (o owner) Calendar(ctx context.Context, term lease.Term) (api.Calendar, error) {
	return look(ctx, o.d, func(l *lease.Ledger) api.Calendar {
		now := o.d.time.now().Unix()
		if term.From <= 0 {
			term.From = now
		}
		if term.Until <= term.From {
			term.Until = term.From + calendarTerm
		}
		out := api.Calendar{Now: now, Term: term, Pools: []api.PoolCalendar{}, Idle: l.Idle()}
		booked := map[lease.Pool][]api.Claim{}
		for _, e := range l.Leases() {
			if e.State.Live() && e.Term.Overlaps(term) && len(booked[e.Pool]) < maxCalendarClaims {
				booked[e.Pool] = append(booked[e.Pool], claimOf(e))
			}
		}
		for _, rule := range l.Pools() {
			levels, seen := l.Levels(rule.Pool, term)
			out.Pools = append(out.Pools, api.PoolCalendar{PoolRule: rule, Levels: levels, Seen: seen, Claims: booked[rule.Pool]})
		}
		for _, e := range l.Tree() {
			switch {
			case !e.Term.Overlaps(term):
			case len(out.Tree) == maxPromised:
				out.More++
			default:
				out.Tree = append(out.Tree, api.Promised{Claim: e.Ticket, Depth: e.Depth, Holder: e.Holder, Slot: e.Slot, RSet: e.RSet,
					Term: e.Term, Degree: e.Degree, Drawn: e.Drawn, Left: e.Left(), Redeems: e.Redeems})
			}
		}
		return out
	})
}
