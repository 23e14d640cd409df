// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"net/netip"
)

// want is a wish as the ledger judges it: what asks and redeems have in common.
type want struct {
	id       ID
	op       Kind
	by       Principal
	request  Request
	rset     RSet
	term     Term
	slice    string
	owner    Principal // of the slice: by, or who granted it
	pool     Pool
	ports    []Port
	replaces ID
	ticket   ID         // of a redeem
	leaf     *claimBook // that ticket in the tree
	slot     uint8
	class    Class
	weight   uint16
	alone    uint8
	fanOut   uint16
	bytes    []byte
	source   netip.Prefix // the network that it was seen to come from
	allotted *Allotted
	evict    []eviction // before it is granted
	bid      string     // of an ask
	decided  *Decision
	pending  *Question // which must be decided outside before w can be granted
}

func wantOf(id ID, st Statement, b []byte) (want, error) {
	switch w := st.(type) {
	case *Ask:
		return want{id: id, op: KindAsk, by: w.Issuer, request: w.Request, rset: w.RSet, term: w.Term(), slice: w.Slice,
			owner: ownerOf(w.Owner, w.Issuer), pool: w.Pool, ports: w.Ports, replaces: w.Replaces, class: w.Class, weight: w.Weight, alone: w.Alone, fanOut: w.FanOut, bid: w.Bid, bytes: b}, nil
	case *Redeem:
		return want{id: id, op: KindRedeem, by: w.Issuer, request: w.Request, rset: w.RSet, term: w.Term(), slice: w.Slice,
			owner: ownerOf(w.Owner, w.Issuer), pool: PoolSharp, ports: w.Ports, replaces: w.Replaces, ticket: w.Parent, slot: w.Slot, fanOut: w.FanOut, bytes: b}, nil
	}
	return want{}, fmt.Errorf("%s is no wish: %w", st.Kind(), ErrKind)
}

func (w *want) key() requestKey { return requestKey{w.by, w.op, w.request} }

// forget is when nothing of the wish is needed any more.
func (w *want) forget() int64 { return w.term.Until + RequestKept }

// booking is one granted wish, from its hold until it is forgotten.
type booking struct {
	timer
	want
	state State
	until int64 // the term's end, or where the lease that replaces this one begins

	hold      ID
	holdBytes []byte
	commitBy  int64
	chosen    []Port

	lease      ID // zero until committed
	grace      int64
	leaseBytes []byte
	activateBy int64
	sliver     ID   // first lease of the sliver
	continues  bool // the sliver of the lease before it runs on
	program    []byte
	active     bool // the program is known

	endID    ID // close or revoke
	endBytes []byte
	endAt    int64
	endOn    event
	endedOn  event
	gone     bool // no Finish is owed

	// A lease and the one that is to replace it, while both live.
	old, heir *booking

	charges []span
	drawn   []drawn
	joint   bool // the charges are in the joint calendar too
	share   RSet // of an evictable lease that runs: what is in force of it
	facts   []keptFact
}

// keptFact is a fact that still matters, with its place in the order of all.
type keptFact struct {
	number uint64
	Fact
}

func (b *booking) span() Term { return Term{b.term.From, b.until} }

// occupies is when b takes up room: not before there is any, and not beyond an
// end that was announced.
func (b *booking) occupies() Term {
	t := Term{b.starts(), b.until}
	if b.state == Closing {
		t.Until = min(t.Until, b.endAt)
	}
	return t
}

func (b *booking) same(asked ID) bool { return asked == b.id }

func (b *booking) answer(ref uint64) Answer {
	return Answer{Ref: ref, Statements: [][]byte{b.holdBytes}}
}

// begun reports whether the sliver is to run, or has run, under this lease.
func (b *booking) begun(now int64) bool { return b.active && b.starts() <= now }

// next returns the instant at which the ledger must look at b again.
func (b *booking) next(now int64) int64 {
	if b.state.Live() && b.old != nil && b.old.state == Closing {
		return now
	}
	switch b.state {
	case Held:
		return b.commitBy
	case Leased:
		return min(b.activateBy, b.until)
	case Active, Closing:
		at := b.until
		if b.state == Closing {
			at = min(at, b.endAt)
		}
		if b.active && b.starts() > now {
			at = min(at, b.starts())
		}
		return at
	}
	return b.forget()
}

// due does what the time has come for.
func (l *Ledger) due(b *booking) {
	switch {
	case !b.state.Live():
		l.forgetBooking(b)
	case b.old != nil && b.old.state == Closing: // what was to continue a sliver is called off with it
		l.finish(b, b.old.endOn)
	case b.state == Held:
		l.finish(b, onFuse)
	case b.state == Closing && b.heir != nil:
		l.finish(b.heir, b.endOn)
	case b.state == Closing && b.endAt <= min(l.now, b.until):
		l.finish(b, b.endOn)
	case b.until <= l.now && b.heir != nil && b.heir.continues:
		l.finish(b, onReplace)
	case b.until <= l.now:
		l.finish(b, onTermEnd)
	case b.state == Leased:
		l.finish(b, onIdle)
	default:
		l.begin(b)
		l.wake(b, b.next(l.now))
	}
}

// begin has the sliver run under b, whose term has begun.
func (l *Ledger) begin(b *booking) {
	name := SliverName(b.sliver)
	if b.class == Evictable {
		l.shareAt = l.now
	}
	if b.continues {
		l.emit(Continue{Sliver: name, Lease: b.lease, Statement: b.leaseBytes})
		return
	}
	l.emit(Begin{Sliver: name, Lease: b.lease, Statement: b.leaseBytes, Program: b.program})
}

// finish ends b, and has its sliver go unless another lease carries it.
func (l *Ledger) finish(b *booking, on event) {
	l.decide(Fact{K: FactEnded, Claim: b.claim(), Event: uint8(on)})
	if !b.gone {
		l.emit(b.finishing())
	}
}

func (b *booking) finishing() Finish {
	return Finish{Sliver: SliverName(b.sliver), Lease: b.lease, Reason: b.why()}
}

func (b *booking) claim() ID {
	if b.lease.IsZero() {
		return b.hold
	}
	return b.lease
}

// why is how b ended, or is about to, for a person.
func (b *booking) why() string {
	switch b.endedOn {
	case onFuse:
		return "not committed in time"
	case onIdle:
		return "not activated in time"
	case onTermEnd:
		return "term has ended"
	case onReplace:
		return "replaced"
	}
	if b.endBytes == nil {
		if b.state.Live() {
			return ""
		}
		return "the lease that it was to continue was called off"
	}
	text := ""
	switch _, st, _ := stored(b.endBytes); st := st.(type) {
	case *Close:
		text = "closed by " + b.role(st.Issuer)
		if st.Reason != "" {
			text += ": " + st.Reason
		}
	case *Revoke:
		text = "revoked by the node: " + st.Reason
		if st.Reason == "" {
			text = "revoked by the node"
		}
	}
	return text
}

// charge books spans for b in its pool and with its holder.
func (l *Ledger) charge(b *booking, spans []span) {
	l.uncharge(b)
	if len(spans) == 0 {
		return
	}
	l.lend(b, +1)
	load := &l.pool(b.pool).load
	b.joint = l.pool(b.pool).joint()
	a := l.account(b.by)
	if a.load[b.pool] == nil {
		a.load[b.pool] = new(calendar)
	}
	for _, s := range spans {
		load.add(s)
		a.load[b.pool].add(s)
		if b.joint {
			l.joint.add(s)
		}
	}
	b.charges = spans
	l.tally(b, spans, false)
	l.stale = true
}

func (l *Ledger) uncharge(b *booking) {
	if len(b.charges) == 0 {
		return
	}
	load, a := &l.pool(b.pool).load, l.account(b.by)
	for _, s := range b.charges {
		load.remove(s)
		a.load[b.pool].remove(s)
		if b.joint {
			l.joint.remove(s)
		}
	}
	if a.load[b.pool].empty() {
		delete(a.load, b.pool)
	}
	l.tally(b, b.charges, true)
	b.charges = nil
	l.lend(b, -1)
	l.stale = true
}

// rises returns what w costs: its charge during its term, or over what it
// replaces only the rise, so that the two are charged at the per-resource maximum.
// What another holds is not ours to be charged over: for a moment both are.
func rises(w *want, old *booking) []span {
	t := Term{w.starts(), w.term.Until}
	switch {
	case t.Seconds() == 0:
		return nil
	case old == nil || old.pool != w.pool || old.by != w.by:
		return []span{{t, w.charge()}}
	}
	return skyline{}.raise(old.occupies(), old.charge(), 0).rise(t, w.charge())
}
