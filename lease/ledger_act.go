// SPDX-License-Identifier: Apache-2.0

package lease

import "bytes"

// own finds the booking of the caller that id names.
func (l *Ledger) own(id ID, caller Principal) (*booking, *Refusal) {
	b := l.bookings[id]
	if b == nil || b.by != caller {
		return nil, refuse(Local, ReasonUnknown, "%s is not here, or not of this principal", id.Short())
	}
	return b, nil
}

func (l *Ledger) commit(in Commit) {
	b, refusal := l.own(in.Hold, in.Caller)
	switch {
	case refusal != nil:
	case b.hold != in.Hold:
		refusal = refuse(Local, ReasonState, "%s is a lease already", in.Hold.Short())
	case !b.lease.IsZero():
		l.emit(Answer{Ref: in.Ref, Statements: [][]byte{b.leaseBytes}})
		return
	case b.state != Held:
		refusal = refuse(Local, ReasonState, "the hold is %s", b.ended())
	case l.bar == ReasonSpace:
		refusal = refuse(Local, ReasonSpace, "nothing can be written down at present")
	}
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	st := &Lease{K: KindLease, Node: l.node, RSet: b.rset, From: b.term.From, Until: b.term.Until, Holder: b.by,
		Parent: b.id, Slice: b.slice, Owner: b.foreign(), Replaces: b.replaces, Ports: b.chosen, Pool: b.pool, Hold: b.hold, Grace: l.cfg.Grace,
		Class: b.class, Weight: b.weight, Alone: b.alone, FanOut: b.fanOut, Mechanism: l.pool(b.pool).Mechanism,
		BurstOut: Burst(b.rset[EgressRate]), BurstIn: Burst(b.rset[IngressRate])}
	if b.allotted != nil {
		st.Grace = b.allotted.Grace
	}
	var program []byte
	if b.old != nil {
		st.Sliver, program = b.old.sliver, b.old.program
	} else {
		st.ActivateBy = min(l.fuse(b), b.until)
	}
	signed, refusal := l.sign(st)
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	l.decide(Fact{K: FactCommitted, Claim: b.hold, Signed: signed, Program: program})
	l.emit(Answer{Ref: in.Ref, Statements: [][]byte{signed}})
	if old := b.old; old != nil && old.until <= l.now {
		l.finish(old, onReplace) // before its successor takes over
	}
	if b.begun(l.now) {
		l.begin(b)
	}
}

// fuse is when a lease of b falls unless activated.
func (l *Ledger) fuse(b *booking) int64 {
	at := l.now + l.cfg.ActivateFuse
	if b.allotted != nil {
		at = max(at, b.allotted.ActivateBy)
	}
	return at
}

// Burst is how many bytes a sliver may send at once, at a rate in bit/s: a
// quarter of a second's worth, and never less than two of the largest segments
// that a kernel makes.
func Burst(rate uint64) uint64 {
	if rate == 0 {
		return 0
	}
	return max(rate/8/4, 128<<10)
}

// ended says how a booking that is not live came to its end.
func (b *booking) ended() string {
	if why := b.why(); why != "" {
		return b.state.String() + ": " + why
	}
	return b.state.String()
}

func (l *Ledger) activate(in Activate) {
	b, refusal := l.own(in.Lease, in.Caller)
	switch {
	case refusal != nil:
	case b.lease != in.Lease:
		refusal = refuse(Local, ReasonState, "%s is a hold: commit it first", in.Lease.Short())
	case len(in.Program) == 0 || len(in.Program) > MaxProgram:
		refusal = refuse(Local, ReasonInvalid, "program of %d bytes, want 1 to %d", len(in.Program), MaxProgram)
	case b.active && bytes.Equal(b.program, in.Program):
		l.emit(Answer{Ref: in.Ref, Statements: [][]byte{b.leaseBytes}})
		return
	case b.active:
		refusal = refuse(Local, ReasonRequest, "activated before with another program")
	case b.state != Leased:
		refusal = refuse(Local, ReasonState, "the lease is %s", b.ended())
	case l.bar == ReasonSpace:
		refusal = refuse(Local, ReasonSpace, "nothing can be written down at present")
	}
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	l.decide(Fact{K: FactActivated, Claim: b.lease, Program: bytes.Clone(in.Program)})
	l.emit(Answer{Ref: in.Ref, Statements: [][]byte{b.leaseBytes}})
	if b.begun(l.now) {
		l.begin(b)
	}
}

func (l *Ledger) end(in End) {
	o, err := read(in.Close)
	st, isClose := o.Statement.(*Close)
	if err == nil && !isClose {
		err = ErrKind
	}
	if err != nil {
		l.answerRefusal(in.Ref, refuse(Local, ReasonInvalid, "reading a close: %v", err))
		return
	}
	b, refusal := l.endable(st.Claim, in)
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	if o.ID == b.endID {
		l.emit(Answer{Ref: in.Ref, Statements: [][]byte{b.endBytes}})
		return
	}
	if st.Node != l.node || st.Issuer != in.Caller {
		l.answerRefusal(in.Ref, refuse(Local, ReasonInvalid, "close of %s for node %s", st.Issuer.Short(), st.Node.Short()))
		return
	}
	if err := o.verify(); err != nil {
		l.answerRefusal(in.Ref, refuse(Local, ReasonInvalid, "%v", err))
		return
	}
	l.announce(in.Ref, b, o.Signed.Bytes(), st.At)
}

// announce makes an end come, unless b has ended or will as early.
func (l *Ledger) announce(ref uint64, b *booking, signed []byte, at int64) {
	if refusal := b.mayEnd(at); refusal != nil {
		l.answerRefusal(ref, refusal)
		return
	}
	l.decide(Fact{K: FactAnnounced, Claim: b.claim(), Signed: signed})
	l.emit(Answer{Ref: ref, Statements: [][]byte{signed}})
}

// mayEnd refuses an end that comes too late to be one.
func (b *booking) mayEnd(at int64) *Refusal {
	switch {
	case !b.state.Live():
		return refuse(Local, ReasonState, "it is %s", b.ended())
	case b.state == Closing && at >= b.endAt:
		return refuse(Local, ReasonClosing, "it ends at %s already", unix(b.endAt))
	}
	return nil
}

func (l *Ledger) gone(in Gone) {
	if b := l.bookings[in.Lease]; b != nil && !b.state.Live() && !b.gone {
		l.decide(Fact{K: FactGone, Claim: in.Lease})
	}
}
