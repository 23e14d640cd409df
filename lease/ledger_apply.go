// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"container/heap"
	"fmt"
	"slices"
)

// apply makes one fact true. Step and Restore both change the ledger here and
// nowhere else, so what is rebuilt is what was.
func (l *Ledger) apply(f Fact) error {
	switch f.K {
	case FactHeld:
		return l.applyHeld(f)
	case FactRefused:
		return l.applyRefused(f)
	case FactCapacity:
		return l.applyCapacity(f)
	case FactTicket:
		return l.applyTicket(f)
	case FactSeen:
		return l.applySeen(f)
	case FactProof:
		return l.applyProof(f)
	}
	b := l.bookings[f.Claim]
	if b == nil {
		return fmt.Errorf("%s is not booked: %w", f.Claim.Short(), ErrFact)
	}
	var err error
	switch f.K {
	case FactCommitted:
		err = l.applyCommitted(b, f)
	case FactActivated:
		err = b.move(onActivate)
		b.program, b.active = f.Program, true
	case FactAnnounced:
		if err = b.applyAnnounced(f); err == nil {
			if !b.lease.IsZero() {
				l.charge(b, spanOf(b)) // from its end on others may have the room
			}
			l.draw(b)
		}
	case FactEnded:
		err = l.applyEnded(b, f)
	case FactGone:
		b.gone = true
	default:
		err = fmt.Errorf("%s: %w", f.K, ErrFact)
	}
	if err != nil {
		return err
	}
	b.facts = append(b.facts, l.number(f))
	l.wake(b, b.next(l.now))
	if b.heir != nil {
		l.wake(b.heir, b.heir.next(l.now))
	}
	return nil
}

func (l *Ledger) number(f Fact) keptFact {
	l.facts++
	return keptFact{l.facts, f}
}

func (b *booking) move(on event) error {
	to, ok := b.state.next(on)
	if !ok {
		return fmt.Errorf("%s cannot %s: %w", b.state, on, ErrFact)
	}
	b.state = to
	return nil
}

func (l *Ledger) applyHeld(f Fact) error {
	o, err := read(f.Wish)
	if err != nil {
		return err
	}
	w, err := wantOf(o.ID, o.Statement, f.Wish)
	if err != nil {
		return err
	}
	holdID, hold, err := storedAs[*Hold](f.Signed)
	if err != nil {
		return err
	}
	if w.source, err = parseSource(f.Source); err != nil {
		return err
	}
	w.allotted = f.Allotted
	if w.op == KindRedeem {
		if w.leaf = l.claims[w.ticket]; w.leaf == nil || w.leaf.up == nil {
			return fmt.Errorf("ticket %s is not known: %w", w.ticket.Short(), ErrFact)
		}
	}
	if hold.Parent != w.id || l.requests[w.key()] != nil {
		return fmt.Errorf("hold %s of request %x: %w", holdID.Short(), w.request[:4], ErrFact)
	}
	b := &booking{want: w, until: w.term.Until, hold: holdID, holdBytes: f.Signed, commitBy: hold.CommitBy, chosen: f.Ports}
	if err := b.move(onAdmit); err != nil {
		return err
	}
	if old := l.bookings[w.replaces]; old != nil && old.state == Active && !w.replaces.IsZero() {
		b.old, old.heir = old, b
	}
	b.facts = append(b.facts, l.number(f))
	l.bookings[holdID] = b
	l.requests[w.key()] = b
	l.charge(b, rises(&w, b.old))
	l.ports.take(b)
	l.countBooking(b, +1)
	l.account(b.by).holds++
	l.enter(b, o)
	l.keep(b, b.next(l.now))
	if b.class == Evictable {
		l.evictables = append(l.evictables, b)
	}
	if b.alone != 0 {
		l.alone = append(l.alone, b)
	}
	return nil
}

func (l *Ledger) applyCommitted(b *booking, f Fact) error {
	id, st, err := storedAs[*Lease](f.Signed)
	if err != nil {
		return err
	}
	on := onCommit
	if st.ActivateBy == 0 {
		on = onContinue
	}
	if err := b.move(on); err != nil {
		return err
	}
	l.account(b.by).holds--
	b.lease, b.leaseBytes, b.activateBy, b.grace = id, f.Signed, st.ActivateBy, int64(st.Grace)
	b.sliver = id
	l.bookings[id] = b
	if on == onContinue {
		b.sliver, b.program, b.active, b.continues = st.Sliver, f.Program, true, true
		if old := b.old; old != nil { // ends where its successor begins
			old.until = min(old.until, b.term.From)
			l.charge(old, spanOf(old))
			l.draw(old)
			l.wake(old, old.next(l.now))
		}
	}
	l.slivers.enter(b)
	l.charge(b, spanOf(b))
	l.draw(b)
	return nil
}

// spanOf is what a lease costs by itself.
func spanOf(b *booking) []span {
	if t := b.occupies(); t.Seconds() > 0 {
		return []span{{t, b.charge()}}
	}
	return nil
}

func (b *booking) applyAnnounced(f Fact) error {
	id, st, err := stored(f.Signed)
	if err != nil {
		return err
	}
	held := b.state == Held
	if err := b.move(onAnnounce); err != nil {
		return err
	}
	b.endID, b.endBytes = id, f.Signed
	switch st := st.(type) {
	case *Close:
		b.endAt, b.endOn = st.At, onClose
	case *Revoke:
		b.endAt, b.endOn = st.At, onRevoke
	default:
		return fmt.Errorf("%s announces no end: %w", st.Kind(), ErrFact)
	}
	switch b.endAt = max(b.endAt, f.At); { // no fuse is outlasted by an end for later
	case held:
		b.endAt = f.At
	case !b.active:
		b.endAt = min(b.endAt, b.activateBy)
	}
	return nil
}

func (l *Ledger) applyEnded(b *booking, f Fact) error {
	held := b.lease.IsZero()
	if err := b.move(event(f.Event)); err != nil {
		return err
	}
	b.endedOn = event(f.Event)
	b.until = max(b.term.From, min(b.term.Until, f.At)) // of its own facts alone: its successor may be forgotten first
	pending := b.continues && b.term.From > f.At        // the sliver is still that of the lease before
	b.gone = held || b.endedOn == onReplace || pending
	if held {
		l.account(b.by).holds--
	} else {
		l.slivers.end(b)
	}
	if b.old != nil {
		b.old.heir, b.old = nil, nil
	}
	if b.heir != nil {
		b.heir.old, b.heir = nil, nil
	}
	l.uncharge(b)
	l.ports.release(b)
	if b.class == Evictable {
		l.evictables = slices.DeleteFunc(l.evictables, func(o *booking) bool { return o == b })
	}
	if b.alone != 0 {
		l.alone = slices.DeleteFunc(l.alone, func(o *booking) bool { return o == b })
	}
	b.leave()
	l.settleAccount(b.by)
	return nil
}

// forgetBooking drops what nobody can ask for any more. A Finish of which no
// Gone was heard is said once more: after this, no Recover will.
func (l *Ledger) forgetBooking(b *booking) {
	if !b.gone {
		l.emit(b.finishing())
	}
	delete(l.bookings, b.hold)
	delete(l.bookings, b.lease)
	if !b.lease.IsZero() {
		l.slivers.forget(b)
	}
	delete(l.requests, b.key())
	l.drop(b)
	l.countBooking(b, -1)
	l.settleAccount(b.by)
	if k := b.leaf; k != nil {
		k.redeems--
		k.weights.Forget(l.now - RequestKept)
	}
}

func (l *Ledger) drop(x timed) { heap.Remove(&l.timers, x.clock().index) }

func (l *Ledger) countBooking(b *booking, by int) {
	l.kept += by
	if b.op == KindAsk {
		l.asked += by
		l.account(b.by).asked += by
	}
}

// Facts returns the facts that rebuild the ledger as it is now, in order: what
// the journal's snapshot holds. Facts of what is forgotten are left out.
func (l *Ledger) Facts() []Fact {
	var kept []keptFact
	for _, x := range l.timers {
		switch x := x.(type) {
		case *booking:
			kept = append(kept, x.facts...)
		case *refusalKept:
			kept = append(kept, x.fact)
		case *claimBook:
			kept = append(kept, x.fact)
		case *witness:
			kept = append(kept, x.fact)
		case *proofKept:
			kept = append(kept, x.fact)
		}
	}
	slices.SortFunc(kept, func(a, b keptFact) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	facts := make([]Fact, len(kept))
	for i, k := range kept {
		facts[i] = k.Fact
	}
	return facts
}
