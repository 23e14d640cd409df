// SPDX-License-Identifier: Apache-2.0

package lease

// ending is a hold or lease that the node ends, and when.
type ending struct {
	b  *booking
	at int64
}

// endings lists what the node must revoke so that b, and the sliver that runs
// under it or is to, has gone at from, or as soon after that as the notices allow;
// the sliver's own end comes last.
//
// A lease with a successor was cut to where that begins, so it can no more give
// by itself the notice that it states. If the notice outlasts it, it is left to
// pass over as planned, and the successor is what ends, in its own name; otherwise
// the successor is revoked first, with its own notice, of which the sliver will
// see nothing as nothing of it was promised for that time.
func (b *booking) endings(now, from int64) []ending {
	if b.lease.IsZero() {
		return []ending{{b, now}} // a hold gives nothing yet
	}
	at, heir := max(from, now+b.grace), b.heir
	switch {
	case heir == nil || heir.occupies().Seconds() == 0: // it was revoked before
		return []ending{{b, at}}
	case heir.lease.IsZero():
		return []ending{{heir, now}, {b, at}}
	}
	heirAt := max(from, now+heir.grace)
	if last := max(at, heirAt); last > heir.term.From {
		return []ending{{heir, last}}
	}
	return []ending{{heir, heirAt}, {b, at}}
}

// notice is how many seconds a lease of b has left once it is revoked.
func (b *booking) notice() int64 {
	if b.allotted != nil {
		return int64(b.allotted.Grace)
	}
	return b.grace
}

// revoke says, signed, what ends, and returns the statements. Nothing is said
// unless all of it can be.
func (l *Ledger) revoke(list []ending, reason string) (signed [][]byte, _ *Refusal) {
	for _, x := range list {
		st, refusal := l.sign(&Revoke{K: KindRevoke, Node: l.node, Claim: x.b.claim(), At: x.at, Said: l.now, Reason: reason})
		if refusal != nil {
			return nil, refusal
		}
		signed = append(signed, st)
	}
	for i, x := range list {
		l.decide(Fact{K: FactAnnounced, Claim: x.b.claim(), Signed: signed[i]})
		if x.b.endAt <= l.now {
			l.finish(x.b, onRevoke)
		}
	}
	return signed, nil
}

// recall ends a lease by the owner's will. The answer says first when the sliver
// goes: of a lease that passes over to its successor, that is the successor's end.
func (l *Ledger) recall(in Recall) {
	b := l.bookings[in.Lease]
	if b == nil {
		l.answerRefusal(in.Ref, refuse(Local, ReasonUnknown, "%s is not here", in.Lease.Short()))
		return
	}
	if said := b.revoked(); said != nil {
		l.emit(Answer{Ref: in.Ref, Statements: [][]byte{said}})
		return
	}
	list := b.endings(l.now, l.now)
	last := list[len(list)-1]
	if refusal := last.b.mayEnd(last.at); refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	signed, refusal := l.revoke(list, in.Reason)
	if refusal != nil {
		l.answerRefusal(in.Ref, refusal)
		return
	}
	l.emit(Answer{Ref: in.Ref, Statements: signed[len(signed)-1:]})
}

// revoked returns the revoke of b, or of the successor that it passes over to.
func (b *booking) revoked() []byte {
	switch {
	case b.endOn == onRevoke:
		return b.endBytes
	case b.heir != nil && b.heir.endOn == onRevoke && b.heir.occupies().Seconds() > 0:
		return b.heir.endBytes
	}
	return nil
}
