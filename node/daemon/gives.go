// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/policy"
	"croft/node/api"
)

// gives keeps what the policy gives to peers: each always has a ticket, and the
// next one, which begins where it ends, by half of its term.
//
// The books remember which tickets were signed, not this loop: a request id
// says of which give it is, and until when the ticket lasts. So it does not
// matter how often, or between which two instants, the daemon dies. What a
// line of the policy says takes effect with the next ticket: a ticket that is
// signed is a promise, and there is no return.
type gives struct {
	d     *Daemon
	stale chan struct{} // capacity of one

	mu     sync.Mutex
	failed map[giveKey]string // why the next ticket could not be signed
}

// giveKey names a give by its holder and its number among that holder's.
type giveKey [8]byte

func newGives(d *Daemon) *gives {
	return &gives{d: d, stale: make(chan struct{}, 1), failed: map[giveKey]string{}}
}

func (g *gives) poke() {
	select {
	case g.stale <- struct{}{}:
	default:
	}
}

func keyOfGive(give policy.Give) giveKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "croft/give/1\n%s %d", give.To.Principal, give.Number))
	return giveKey(sum[:8])
}

// requestOf is the request id under which a give's ticket until an instant is
// signed.
func requestOf(k giveKey, until int64) (r lease.Request) {
	copy(r[:], k[:])
	binary.BigEndian.PutUint64(r[8:], uint64(until))
	return r
}

// latest returns each give's ticket that ends last.
func latest(issued []lease.Issued) map[giveKey]lease.Issued {
	m := map[giveKey]lease.Issued{}
	for _, t := range issued {
		if k := giveKey(t.Request[:8]); t.Until > m[k].Until && t.Request == requestOf(k, t.Until) {
			m[k] = t
		}
	}
	return m
}

// nextTerm is the term of the next ticket of a give that has tickets until an
// instant (0: none), and when it is to be signed.
func nextTerm(give policy.Give, until, now int64) (t lease.Term, due int64) {
	if until <= now {
		return lease.Term{From: now, Until: now + give.Term}, now
	}
	return lease.Term{From: until, Until: until + give.Term}, until - give.Term/2
}

// run keeps the gives until ctx ends.
func (g *gives) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.stale:
		case <-timer.C:
		}
		wait, err := g.round(ctx)
		if err != nil {
			return // the daemon goes
		}
		timer.Reset(wait)
	}
}

// round signs every ticket that is due and returns when to look again. It also
// minds the terms of followed policies, which no other loop does.
func (g *gives) round(ctx context.Context) (time.Duration, error) {
	if next := g.d.inForce().next; next != 0 && g.d.deps.Clock.Wall().Unix() >= next {
		if err := g.d.Reload(ctx); err != nil {
			g.d.deps.Log.Error("the policy could not be read again", "err", err)
		}
	}
	p := g.d.inForce()
	issued, err := look(ctx, g.d, (*lease.Ledger).Issued)
	if err != nil {
		return 0, err
	}
	has, now := latest(issued), g.d.time.now().Unix()
	wait := int64(giveLook / time.Second)
	if p.next != 0 {
		wait = min(wait, max(p.next-now, 1))
	}
	if p.next != 0 && p.next <= now { // it could not be read again
		wait = int64(giveRetry / time.Second)
	}
	for _, give := range p.Gives {
		last := has[keyOfGive(give)]
		term, due := nextTerm(give, last.Until, now)
		if due <= now {
			if term, err = g.sign(ctx, give, term, last); err != nil {
				return 0, err
			}
			_, due = nextTerm(give, term.Until, now)
			due = max(due, now+int64(giveRetry/time.Second)) // also after a refusal
		}
		wait = min(wait, due-now)
	}
	return time.Duration(max(wait, 1)) * time.Second, nil
}

// sign has the ledger sign one ticket, and returns its term. A refusal is told
// once and tried again.
//
// What is set aside for a ticket may be so for longer than the ticket lasts, and
// then there may be no room for the next one but in there: it ends with that, and
// is no larger than the last where the policy now gives more.
func (g *gives) sign(ctx context.Context, give policy.Give, term lease.Term, last lease.Issued) (lease.Term, error) {
	k, rset := keyOfGive(give), give.RSet
	issue := func() (lease.Answer, error) {
		return g.d.ask(ctx, func(ref uint64) lease.Input {
			return lease.Issue{Ref: ref, Holder: give.To.Principal, RSet: rset, Term: term, Degree: give.Degree, Request: requestOf(k, term.Until)}
		})
	}
	full := func(a lease.Answer, err error) bool {
		return err == nil && a.Refusal != nil && a.Refusal.Reason == lease.ReasonCapacity && last.Reserve >= term.From+policy.MinGive
	}
	answer, err := issue()
	if full(answer, err) {
		term.Until = min(term.Until, last.Reserve)
		if answer, err = issue(); full(answer, err) {
			for r, v := range last.RSet {
				rset[r] = min(rset[r], v)
			}
			if !rset.IsZero() {
				answer, err = issue()
			}
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return term, err
		}
		answer.Refusal = &lease.Refusal{Sort: lease.Local, Reason: lease.ReasonSpace, Text: err.Error()}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if answer.Refusal == nil {
		delete(g.failed, k)
		g.d.deps.Log.Info("a peer was given a ticket", "to", give.To.Name, "rset", rset, "term", term, "degree", give.Degree)
		return term, nil
	}
	if why := answer.Refusal.Error(); g.failed[k] != why {
		g.failed[k] = why
		g.d.deps.Log.Warn("a peer's ticket could not be signed", "to", give.To.Name, "line", give.At.String(), "err", why)
	}
	return term, nil
}

// state says how far each give is kept.
func (g *gives) state(ctx context.Context) ([]api.Given, error) {
	issued, err := look(ctx, g.d, (*lease.Ledger).Issued)
	if err != nil {
		return nil, err
	}
	has := latest(issued)
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []api.Given{}
	for _, give := range g.d.inForce().Gives {
		k := keyOfGive(give)
		out = append(out, api.Given{To: give.To.Name, Line: give.At.Line, Until: has[k].Until, Fault: g.failed[k]})
	}
	return out, nil
}
