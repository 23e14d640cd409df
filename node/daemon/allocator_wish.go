// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/role"
)

// wished has the ledger judge a wish and, where it says so, the role allocator
// decide; the ledger judges it anew then. Nothing is promised meanwhile, and nothing
// kept: who breaks off, or meets a daemon that was started again, asks again.
func (d *Daemon) wished(ctx context.Context, w lease.Wish) (lease.Answer, error) {
	judge := func(decided *lease.Decision) (lease.Answer, error) {
		return d.ask(ctx, func(ref uint64) lease.Input {
			w.Ref, w.Decided = ref, decided
			return w
		})
	}
	a, err := judge(nil)
	if err != nil || a.Undecided == nil {
		return a, err
	}
	leave, ok := d.deciding.enter(a.Undecided.By)
	if !ok {
		return undecided(a.Undecided, "too many wait for a decision"), nil
	}
	defer leave()
	for began := time.Now(); ; {
		q := a.Undecided
		got, err := d.deciding.ask(ctx, d, q, began.Add(decideLimit))
		switch {
		case ctx.Err() != nil:
			return lease.Answer{}, context.Cause(ctx)
		case errors.Is(err, api.ErrStopping), errors.Is(err, api.ErrAgain):
			return lease.Answer{}, err
		case err != nil:
			return undecided(q, err.Error()), nil
		case got.answer.Wait == 0:
			return judge(terms(got))
		}
		again := time.NewTimer(max(time.Duration(got.answer.Wait)*time.Millisecond, decideAgain))
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return lease.Answer{}, context.Cause(ctx)
		case <-d.done:
			again.Stop()
			return lease.Answer{}, api.ErrStopping
		}
		if a, err = judge(nil); err != nil || a.Undecided == nil { // there is no room any more, or the same was asked twice
			return a, err
		}
	}
}

// terms are what the ledger is told: whoever reads it sees whose words they are.
func terms(got answered[decideDone]) *lease.Decision {
	says := role.Printable(got.tenant.Short()+": "+got.answer.Says, lease.MaxText)
	switch {
	case !got.answer.Grant:
		return &lease.Decision{Refusal: says}
	case got.answer.Says == "":
		return &lease.Decision{}
	}
	return &lease.Decision{Said: says}
}

// undecided is a refusal that nobody has signed: it may be granted a moment later.
func undecided(q *lease.Question, why string) lease.Answer {
	return lease.Answer{Refusal: &lease.Refusal{Sort: lease.Local, Reason: lease.ReasonPolicy,
		Text: role.Printable(fmt.Sprintf("pool %s: nobody has decided: %s", q.Rule.Pool, why), lease.MaxText)}}
}

// deciding are the wishes about which the role allocator is to decide.
type deciding struct {
	places chan struct{} // of questions

	mu   sync.Mutex
	all  int
	of   map[lease.Principal]int
	away uint64 // who found no room
}

func newDeciding() *deciding {
	return &deciding{places: make(chan struct{}, maxDeciding), of: map[lease.Principal]int{}}
}

// enter takes in a wish, unless too many are there.
func (d *deciding) enter(by lease.Principal) (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= maxUndecided || d.of[by] >= maxUndecidedOf {
		d.away++
		return nil, false
	}
	d.all++
	d.of[by]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all--
		if d.of[by]--; d.of[by] == 0 {
			delete(d.of, by)
		}
	}, true
}

func (d *deciding) turnedAway() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away
}

// ask puts a question when there is a place for it; the asker waits until end.
func (d *deciding) ask(ctx context.Context, of *Daemon, q *lease.Question, end time.Time) (out answered[decideDone], err error) {
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-ctx.Done():
		return out, context.Cause(ctx)
	}
	return of.decide().ask(ctx, of, inquirer{not: role.SliceTenant(q.Slice, q.Owner)}, decideAsk{Ask: q.Ask, Now: q.Now, Pool: q.Rule.Pool,
		Capacity: q.Rule.Capacity, By: q.By, RSet: q.RSet, From: q.Term.From, Until: q.Term.Until, Renews: q.Renews, Bid: q.Bid,
		Load: q.Load, Mine: q.Mine, Free: q.Free, Left: max(time.Until(end), 0).Milliseconds()})
}
