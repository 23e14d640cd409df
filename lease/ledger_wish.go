// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// wish grants a hold or refuses it, or says that somebody else is to decide first.
// What was answered under a request is answered again as it is stored.
func (l *Ledger) wish(in Wish) {
	w, path, err := l.verified(in)
	if err != nil {
		l.answerRefusal(in.Ref, refuse(Local, ReasonInvalid, "%v", err))
		return
	}
	w.source, w.decided = in.Source.Masked(), in.Decided
	if past := l.requests[w.key()]; past != nil {
		if past.same(w.id) {
			l.emit(past.answer(in.Ref))
		} else {
			l.answerRefusal(in.Ref, refuse(Local, ReasonRequest, "request %x was used before for another %s", w.request[:4], w.op))
		}
		return
	}
	if err := l.entitled(&w, in.Authority); err != nil { // an answer outlives the grant under which it was given
		l.answerRefusal(in.Ref, refuse(Local, ReasonInvalid, "%v", err))
		return
	}
	if refusal := l.timely(&w); refusal != nil { // may be granted a moment later, or never costs more than this to refuse
		l.answerRefusal(in.Ref, refusal)
		return
	}
	if refusal := l.walk(&w, path); refusal != nil { // nothing is kept of it
		l.answerRefusal(in.Ref, refusal)
		return
	}
	hold, ports, refusal := l.admit(&w)
	if refusal != nil {
		l.reject(in.Ref, &w, refusal)
		return
	}
	if w.pending != nil {
		l.emit(Answer{Ref: in.Ref, Undecided: w.pending})
		return
	}
	if refusal := l.evictAll(w.evict); refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	if w.leaf != nil {
		l.convict(w.leaf, w.leaf.weights.Add(path.Leaf()))
	}
	l.decide(Fact{K: FactHeld, Wish: w.bytes, Signed: hold, Ports: ports, Allotted: w.allotted, Source: sourceBytes(w.source)})
	l.emit(l.requests[w.key()].answer(in.Ref))
}

// verified reads a wish of the caller: signatures, chain, names.
func (l *Ledger) verified(in Wish) (w want, path Chain, err error) {
	if len(in.Chain) == 0 {
		return w, path, fmt.Errorf("no statement: %w", ErrChain)
	}
	last := in.Chain[len(in.Chain)-1]
	leaf, err := read(last)
	if err != nil {
		return w, path, err
	}
	if leaf.By() != in.Caller {
		return w, path, fmt.Errorf("%s of %s, brought by %s: %w", leaf.Kind(), leaf.By().Short(), in.Caller.Short(), ErrNotHolder)
	}
	switch st := leaf.Statement.(type) {
	case *Ask:
		if len(in.Chain) > 1 {
			return w, path, fmt.Errorf("an ask stands alone: %w", ErrChain)
		}
		if st.Node != l.node {
			return w, path, fmt.Errorf("ask of node %s, this is %s: %w", st.Node.Short(), l.node.Short(), ErrWrongNode)
		}
		err = leaf.verify()
	case *Redeem:
		path, err = l.verifyChain(in.Chain)
	}
	if err == nil {
		w, err = wantOf(leaf.ID, leaf.Statement, last)
	}
	return w, path, err
}

// entitled holds a wish for another's slice against what its caller shows.
func (l *Ledger) entitled(w *want, shown []byte) error {
	if w.owner == w.by {
		return nil
	}
	return l.granted(shown, w.deed(l.now))
}

// timely judges what can be judged without looking at anybody's claims.
func (l *Ledger) timely(w *want) *Refusal {
	rule, known := l.pools[w.pool]
	switch {
	case len(l.cfg.Pools) == 0:
		return refuse(Local, ReasonVisitor, "this node leases nothing")
	case l.bar != ReasonNone:
		return refuse(Local, l.bar, "new leases are not given at present")
	case !known || rule.gone:
		return refuse(Local, ReasonPolicy, "there is no pool %s", w.pool)
	case w.term.Until <= l.now:
		return refuse(Local, ReasonClock, "term ended at %s, it is %s here", unix(w.term.Until), unix(l.now))
	case w.term.From < l.now-ClockSkew:
		return refuse(Local, ReasonClock, "term began at %s, it is %s here", unix(w.term.From), unix(l.now))
	case w.term.Seconds() > rule.MaxTerm:
		return refuse(Local, ReasonPolicy, "term of %d s, pool %s gives at most %d s", w.term.Seconds(), w.pool, rule.MaxTerm)
	case w.term.From > l.now+rule.Ahead:
		return refuse(Local, ReasonPolicy, "term begins in %d s, pool %s takes wishes at most %d s ahead", w.term.From-l.now, w.pool, rule.Ahead)
	}
	if refusal := l.unwelcome(w, rule); refusal != nil {
		return refusal
	}
	a := l.holders[w.by]
	switch {
	case a == nil:
	case a.holds >= MaxHolds:
		return refuse(Local, ReasonPolicy, "%d holds are open, limit %d", a.holds, MaxHolds)
	case w.op == KindAsk && a.asked >= MaxRequests:
		return refuse(Local, ReasonPolicy, "%d requests are kept, limit %d", a.asked, MaxRequests)
	}
	if most := l.cfg.Bookings; l.kept >= most || w.op == KindAsk && l.asked >= most/4*3 {
		return refuse(Local, ReasonPolicy, "%d leases are kept, limit %d", l.kept, most)
	}
	return nil
}

// admit judges a wish against everybody's claims and signs a hold.
func (l *Ledger) admit(w *want) (hold []byte, ports []Port, _ *Refusal) {
	if refusal := l.shun(w); refusal != nil {
		return nil, nil, refusal
	}
	old, refusal := l.replaced(w)
	if refusal != nil {
		return nil, nil, refusal
	}
	if old != nil && old.source.IsValid() {
		w.source = old.source // a sliver counts where it began
	}
	if w.leaf != nil {
		if refusal := l.mayDraw(w, old); refusal != nil {
			return nil, nil, refusal
		}
	}
	if refusal := l.allot(w, old); refusal != nil {
		return nil, nil, refusal
	}
	if ports, refusal = l.ports.choose(w, old); refusal != nil {
		return nil, nil, refusal
	}
	if w.pending != nil {
		return nil, nil, nil // what is not decided is not signed
	}
	commitBy := min(l.now+l.cfg.HoldFuse, w.term.Until)
	if old != nil {
		commitBy = min(commitBy, old.until) // a sliver that has gone is not continued
	}
	hold, refusal = l.sign(&Hold{K: KindHold, Node: l.node, Holder: w.by, Parent: w.id, RSet: w.rset,
		From: w.term.From, Until: w.term.Until, CommitBy: commitBy})
	return hold, ports, refusal
}

// replaced finds the lease that w is to replace, if any.
func (l *Ledger) replaced(w *want) (*booking, *Refusal) {
	if w.replaces.IsZero() {
		return nil, nil
	}
	old := l.bookings[w.replaces]
	no := func(format string, args ...any) (*booking, *Refusal) {
		return nil, refuse(Local, ReasonState, "lease %s "+format, append([]any{w.replaces.Short()}, args...)...)
	}
	switch {
	case old == nil || old.lease != w.replaces || old.owner != w.owner:
		return nil, refuse(Local, ReasonUnknown, "lease %s is not here, or not of this principal", w.replaces.Short())
	case old.state == Closing:
		return nil, refuse(Local, ReasonClosing, "lease %s is closing", w.replaces.Short())
	case !old.begun(l.now) || old.state != Active:
		return no("is %s: only what runs is replaced", old.state)
	case old.heir != nil:
		return no("is about to be replaced by another one")
	case old.slice != w.slice:
		return no("is of slice %s, not %s", old.slice, w.slice)
	case old.rset[Disk] != w.rset[Disk]:
		return no("has %s of disk, which cannot change while it runs", Disk.Format(old.rset[Disk]))
	case w.term.From > old.until:
		return no("ends at %s, before the new term", unix(old.until))
	case old.class == Evictable && (w.class != old.class || w.pool != old.pool) && w.term.From > l.now:
		return no("may have to go before the new term: what follows it ahead of time is of its class and pool")
	case w.term.From < old.term.From:
		return no("begins at %s, after the new term", unix(old.term.From))
	}
	return old, nil
}
