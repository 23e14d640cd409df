// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"bytes"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/purse"
)

// act lets one thing happen.
func (w *world) act() {
	p := w.people[w.r.IntN(len(w.people))]
	if w.lending && w.r.IntN(2) == 0 {
		w.lend(p)
		return
	}
	switch n := w.r.IntN(42); {
	case n < 3:
		w.issue(p)
	case n < 8:
		w.give(p, w.people[w.r.IntN(len(w.people))])
	case n < 16:
		w.redeem(p)
	case n < 19:
		w.ask(p)
	case n < 26:
		w.deliver()
	case n < 34:
		w.progress()
	case n < 35:
		w.say("power fails at the node")
		w.restart()
	case n < 36:
		w.snapshot()
	case n < 37:
		w.skew = w.r.Int64N(9) - 4
		w.say("the node's clock steps, and is %d s off", w.skew)
	case n < 38:
		w.restorePurse(p)
	case n < 39:
		w.tell()
	default:
		w.clock += w.r.Int64N(5)
		w.node(lease.Tick{})
	}
}

// term draws seconds within a term, most of them from about now on.
func (w *world) term(within lease.Term) lease.Term {
	from := min(max(w.clock+w.r.Int64N(16)-3, within.From), within.Until-1)
	return lease.Term{From: from, Until: min(from+1+w.r.Int64N(20), within.Until)}
}

func (w *world) everything() lease.Term { return lease.Term{From: epoch, Until: epoch + horizon} }

func (w *world) rset(most lease.RSet) (s lease.RSet) {
	s[lease.CPU] = min(w.r.Uint64N(cpus+1), most[lease.CPU])
	if w.lending || w.r.IntN(2) == 0 {
		s[lease.Pids] = min(w.r.Uint64N(pids+1), most[lease.Pids])
	}
	if s.IsZero() {
		s[lease.CPU] = 1
	}
	return s
}

func (w *world) degree(most uint16) uint16 {
	return min([]uint16{100, 100, 130, 200}[w.r.IntN(4)], most)
}

// issue has the node give a ticket; the holder keeps it unless it is lost.
func (w *world) issue(p *person) {
	t := w.term(w.everything())
	if w.r.IntN(2) == 0 {
		t = w.everything()
	}
	in := lease.Issue{Ref: 1, Holder: p.key.Principal(), RSet: w.rset(lease.RSet{lease.CPU: cpus / 2, lease.Pids: pids / 2}), Term: t,
		Degree: w.degree(lease.MaxDegree), Request: w.fresh()}
	w.mail = append(w.mail, in) // it may be asked for again
	for _, a := range w.node(in) {
		if a.Refusal == nil {
			w.keep(p, a.Statements)
		}
	}
}

// keep puts a ticket into its holder's purse.
func (w *world) keep(p *person, chain [][]byte) {
	if !p.dishonest {
		w.wishes(p, purse.Keep{Chain: chain})
	} else if !slices.ContainsFunc(p.tickets, func(c [][]byte) bool { return string(c[len(c)-1]) == string(chain[len(chain)-1]) }) {
		p.tickets = append(p.tickets, chain)
	}
}

// held draws a ticket of p's: its chain and the ticket.
func (w *world) held(p *person) (chain [][]byte, t *lease.Ticket, id lease.ID) {
	chains := p.tickets
	if !p.dishonest {
		for _, h := range p.purse.Held() {
			chains = append(chains, h.Chain.Bytes())
		}
	}
	if len(chains) == 0 {
		return nil, nil, lease.ID{}
	}
	chain = chains[w.r.IntN(len(chains))]
	o := w.see(chain[len(chain)-1])
	return chain, o.Statement.(*lease.Ticket), o.ID
}

func (w *world) give(p, to *person) {
	chain, t, id := w.held(p)
	if t == nil || len(chain) >= 5 {
		return
	}
	in := purse.Give{Ticket: id, Slot: w.r.IntN(4) - 1, Holder: to.key.Principal(), RSet: w.rset(t.RSet), Term: w.term(t.Term()),
		Degree: w.degree(t.Degree), Request: w.fresh()}
	if w.r.IntN(2) == 0 {
		in.Term = t.Term()
	}
	if p.dishonest {
		if w.r.IntN(4) == 0 {
			in.Degree = 50 // no statement at all, but for a verifier that is lax
		}
		chain = w.forge(p, chain, &lease.Ticket{K: lease.KindTicket, Issuer: t.Holder, Node: t.Node, RSet: in.RSet, From: in.Term.From,
			Until: in.Term.Until, Degree: in.Degree, Holder: in.Holder, Parent: id, Slot: uint8(max(in.Slot, 0))})
	} else {
		chain = w.wishes(p, in)
	}
	if chain != nil {
		w.keep(to, chain)
	}
}

// forge signs under p's ticket without looking into any book.
func (w *world) forge(p *person, chain [][]byte, st lease.Statement) [][]byte {
	s, err := lease.SealAs(lease.Domain, st, p.key)
	if err != nil {
		w.fail("%v", err)
	}
	_, err = s.Open()
	if t, ok := st.(*lease.Ticket); ok && t.Degree < lease.MinDegree && err == nil {
		w.fail("a ticket of degree %d is taken for one: it weighs less than can be drawn on it", t.Degree)
	}
	if err != nil { // nobody takes it, but it may be brought all the same
		w.mail = append(w.mail, lease.Wish{Ref: 1, Caller: p.key.Principal(), Chain: append(slices.Clone(chain), s.Bytes())})
		return nil
	}
	w.say("%s signs %s %s", p.name, st.Kind(), w.see(s.Bytes()).ID.Short())
	return append(slices.Clone(chain), s.Bytes())
}

func (w *world) redeem(p *person) {
	chain, t, id := w.held(p)
	if t == nil {
		return
	}
	in := purse.Redeem{Ticket: id, Slot: w.r.IntN(4) - 1, RSet: w.rset(t.RSet), Term: w.term(t.Term()), Slice: "s", Request: w.fresh()}
	for _, e := range w.l.Holder(t.Holder) { // half of the time, renew
		if e.State == lease.Active && e.Ticket == id && w.r.IntN(2) == 0 {
			wish := w.signed[w.wishOf(e)].Statement.(*lease.Redeem)
			in.Slot, in.Replaces = int(wish.Slot), e.Lease
			in.Term.From = min(max(in.Term.From, e.Term.From), e.Term.Until)
			in.Term.Until = max(in.Term.Until, in.Term.From+1)
		}
	}
	if p.dishonest {
		chain = w.forge(p, chain, &lease.Redeem{K: lease.KindRedeem, Issuer: t.Holder, Node: t.Node, RSet: in.RSet, From: in.Term.From,
			Until: in.Term.Until, Parent: id, Slot: uint8(max(in.Slot, 0)), Slice: in.Slice, Request: in.Request, Replaces: in.Replaces})
	} else {
		chain = w.wishes(p, in)
	}
	if chain != nil {
		w.mail = append(w.mail, lease.Wish{Ref: 1, Caller: p.key.Principal(), Chain: chain})
	}
}

// wishOf returns the wish behind an entry.
func (w *world) wishOf(e lease.Entry) lease.ID {
	switch st := w.see(e.Statement).Statement.(type) {
	case *lease.Lease:
		return st.Parent
	case *lease.Hold:
		return st.Parent
	}
	return lease.ID{}
}

func (w *world) ask(p *person) {
	a := &lease.Ask{K: lease.KindAsk, Issuer: p.key.Principal(), Node: w.cfg.Key.Principal(), RSet: w.rset(capacity()), Slice: "s", Request: w.fresh(),
		Pool: []lease.Pool{lease.PoolCommons, lease.PoolCalendar, lease.PoolShare, lease.PoolShare, allotted}[w.r.IntN(5)]}
	if w.lending {
		a.Pool, a.RSet = lease.PoolShare, lease.RSet{lease.CPU: 1, lease.Pids: 2 + w.r.Uint64N(4)}
	}
	switch a.Pool {
	case lease.PoolCalendar:
		a.Alone = uint8(w.r.IntN(4) / 3)
	case lease.PoolShare:
		a.Class, a.Weight = lease.Evictable, uint16(1+w.r.IntN(3))
	}
	t := w.term(w.everything())
	for _, e := range w.l.Holder(a.Issuer) {
		if e.State == lease.Active && (e.Pool == a.Pool || w.r.IntN(4) == 0) && w.r.IntN(2) == 0 {
			a.Replaces, t.From = e.Lease, min(max(t.From, e.Term.From), e.Term.Until)
			t.Until = max(t.Until, t.From+1)
		}
	}
	a.From, a.Until = t.From, t.Until
	s, err := lease.Seal(a, p.key)
	if err != nil {
		w.fail("sealing an ask: %v", err)
	}
	w.see(s.Bytes())
	w.mail = append(w.mail, lease.Wish{Ref: 1, Caller: a.Issuer, Chain: [][]byte{s.Bytes()}})
}

// deliver brings some message to the node, and mostly takes it off the way.
func (w *world) deliver() {
	if len(w.mail) == 0 {
		return
	}
	i := w.r.IntN(len(w.mail))
	in := w.decided(w.mail[i])
	if w.r.IntN(4) > 0 {
		w.mail = slices.Delete(w.mail, i, i+1)
	}
	w.bring(in)
}

// decided has somebody decide about a wish, each time anew, or nobody.
func (w *world) decided(in lease.Input) lease.Input {
	wish, ok := in.(lease.Wish)
	if !ok {
		return in
	}
	switch w.r.IntN(4) {
	case 0:
		wish.Decided = &lease.Decision{Refusal: "outbid"}
	case 1, 2:
		wish.Decided = &lease.Decision{Said: "at 7"}
	}
	return wish
}

// tell brings the node a proof from elsewhere: one that it made itself, or one
// of what it may not have seen.
func (w *world) tell() {
	if n := len(w.proved); n > 0 && w.r.IntN(2) == 0 {
		w.bring(lease.Accuse{Ref: 1, Proof: w.proved[w.r.IntN(n)]})
		return
	}
	for _, c := range w.conflicts(w.signedByNow) {
		if c.kind == lease.ProofTwice {
			slices.SortFunc(c.children, func(a, b child) int { return bytes.Compare(a.ID[:], b.ID[:]) })
			p := lease.Proof{K: c.kind, Chain: w.path(c.parent), Evidence: [][]byte{c.children[0].Signed.Bytes(), c.children[1].Signed.Bytes()}}
			w.bring(lease.Accuse{Ref: 1, Proof: p.Bytes()})
			return
		}
	}
}

func (w *world) signedByNow(lease.ID) bool { return true }

// progress moves some hold or lease on.
func (w *world) progress() {
	entries := slices.DeleteFunc(w.l.Leases(), func(e lease.Entry) bool { return !e.State.Live() })
	if len(entries) == 0 {
		return
	}
	e := entries[w.r.IntN(len(entries))]
	claim := e.Hold
	if !e.Lease.IsZero() {
		claim = e.Lease
	}
	var in lease.Input
	switch n := w.r.IntN(8); {
	case n == 0:
		in = w.closing(e, claim)
	case n == 1:
		in = lease.Recall{Ref: 1, Lease: claim}
	case e.State == lease.Held:
		in = lease.Commit{Ref: 1, Caller: e.Holder, Hold: e.Hold}
	case e.State == lease.Leased:
		in = lease.Activate{Ref: 1, Caller: e.Holder, Lease: e.Lease, Program: []byte("probe")}
	default:
		in = lease.Tick{}
	}
	if w.r.IntN(4) == 0 {
		w.mail = append(w.mail, in) // and once more, later
	}
	w.bring(in)
}

// lend has things meet that are rare otherwise: leases in room that is lent, their
// renewals ahead of time, and the tickets for which they must go.
func (w *world) lend(p *person) {
	var running []lease.Entry
	for _, e := range w.l.Leases() {
		switch {
		case e.State == lease.Held:
			w.bring(lease.Commit{Ref: 1, Caller: e.Holder, Hold: e.Hold})
			return
		case e.State == lease.Leased:
			w.bring(lease.Activate{Ref: 1, Caller: e.Holder, Lease: e.Lease, Program: []byte("probe")})
			return
		case e.State == lease.Active:
			running = append(running, e)
		}
	}
	sent := len(w.mail)
	switch n := w.r.IntN(8); {
	case n < 4:
		w.ask(p)
	case n < 5:
		w.issue(p)
		return
	case n < 7:
		w.redeem(p)
	case len(running) > 0:
		w.bring(lease.Recall{Ref: 1, Lease: running[w.r.IntN(len(running))].Lease})
		return
	}
	if len(w.mail) > sent {
		w.bring(w.mail[sent])
	}
}

func (w *world) closing(e lease.Entry, claim lease.ID) lease.Input {
	i := slices.IndexFunc(w.people, func(p *person) bool { return p.key.Principal() == e.Holder })
	p := w.people[i]
	s, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: e.Holder, Node: w.cfg.Key.Principal(), Claim: claim, At: w.clock + w.r.Int64N(6) - 2}, p.key)
	if err != nil {
		w.fail("sealing a close: %v", err)
	}
	w.see(s.Bytes())
	return lease.End{Ref: 1, Caller: e.Holder, Close: s.Bytes()}
}

// snapshot replaces the journal by what the ledger says of itself.
func (w *world) snapshot() {
	w.say("snapshot")
	w.journal = w.l.Facts()
	w.restart()
}

// restorePurse has p's power fail, or a copy of the purse put back and noticed.
func (w *world) restorePurse(p *person) {
	if p.dishonest {
		return
	}
	back := len(p.journal)
	if w.r.IntN(3) == 0 {
		back = w.r.IntN(len(p.journal) + 1)
	}
	if back < len(p.journal) && p.copied() {
		return // each purse is put back once at most: it signs little after that
	}
	w.say("%s's purse is restored from %d facts of %d", p.name, back, len(p.journal))
	whole := back == len(p.journal)
	p.journal = p.journal[:back:back]
	p.purse = w.rebuilt(p)
	if !whole {
		for _, e := range p.purse.Step(time.Unix(w.clock+p.skew, 0), purse.Restored{}) {
			if f, ok := e.(purse.Fact); ok {
				p.journal = append(p.journal, f)
			}
		}
	}
}

func (p *person) copied() bool { return p.purse.Restored() }
