// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"croft/lease"
	"croft/lease/purse"
)

// pass gives each peer its share of every ticket on the own nodes: of what is
// idle in the term, and a new one by half of the last one's term.
func (a *Agent) pass() {
	if a.now.Before(a.passAt) || a.passing() {
		return
	}
	a.passAt = a.now.Add(look)
	for _, h := range a.book.Held() {
		if !a.cfg.own(h.Node) || h.Issuer != h.Node {
			continue // what a peer gave is for our people
		}
		for _, p := range a.cfg.Peers {
			if p.Share > 0 && !a.barred(p.Principal) {
				a.passTo(h, p)
			}
		}
	}
}

func (a *Agent) passing() bool {
	for _, t := range a.pending {
		if !t.keep && t.wish == nil {
			return true
		}
	}
	return false
}

func (a *Agent) passTo(h purse.Held, p Peer) {
	now := a.now.Unix()
	var until int64
	for _, c := range h.Issued {
		if c.Ticket == nil || c.Ticket.Holder != p.Principal {
			continue
		}
		until = max(until, c.Term.Until)
		if c.Term.Until > now && !a.delivered[c.ID] { // from before a restart
			a.delivered[c.ID] = true
			a.emit(Deliver{To: p.Principal, Chain: append(h.Chain.Bytes(), c.Bytes)})
		}
	}
	term := lease.Term{From: max(now, h.From, until)}
	term.Until = min(term.From+p.Term, h.Until)
	if term.From-now > p.Term/2 || term.Seconds() < MinTerm {
		return
	}
	rset := share(h.RSet, h.Left(term), p)
	if rset.IsZero() || h.Free(term) == 0 {
		return
	}
	a.sign(&task{to: p.Principal}, func(ref uint64) purse.Input {
		return purse.Give{Ref: ref, Ticket: h.ID, Slot: purse.AnySlot, Holder: p.Principal, RSet: rset, Term: term, Degree: p.Degree,
			Request: passRequest(p.Principal, h.ID, term.Until)}
	})
}

// share is a peer's share of a ticket, as far as that is left: what carries a
// degree weighs more.
func share(whole, left lease.RSet, p Peer) (s lease.RSet) {
	for r := range whole {
		s[r] = min(whole[r]/100*uint64(p.Share)+whole[r]%100*uint64(p.Share)/100, left[r]/uint64(p.Degree)*lease.MinDegree+left[r]%uint64(p.Degree)*lease.MinDegree/uint64(p.Degree))
	}
	return s
}

// passRequest is the request id under which a peer's share of a ticket until an
// instant is signed: the same after a restart.
func passRequest(to lease.Principal, ticket lease.ID, until int64) (q lease.Request) {
	sum := sha256.Sum256(fmt.Appendf(nil, "croft/agent/pass/1\n%s %s", to, ticket))
	copy(q[:], sum[:8])
	binary.BigEndian.PutUint64(q[8:], uint64(until))
	return q
}
