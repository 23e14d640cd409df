// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"io"
	"time"

	"croft/lease"
	"croft/lease/purse"
)

// Renewal has every sliver of a record run on under a new lease, until a later
// time and with another rset if one is wanted. Each node is for itself: one that
// refuses keeps its old lease, and partial success is normal.
type Renewal struct {
	record  Record
	until   int64
	rset    lease.RSet // zero: as it was
	bid     string
	key     lease.Signer
	random  io.Reader
	now     time.Time
	begun   bool
	over    bool
	parts   []*renewing
	effects []Effect
}

type renewing struct {
	sliver Sliver // the old one, then the new
	old    *lease.Lease
	by     *lease.Redeem // behind old; nil: it came without a ticket
	lost   error         // why by is not known: then its slot is not, either
	draw   DrawTicket
	state  state // drawing, asked, committing, running (renewed) or out
	ask    lease.Opened
	hold   lease.ID
	wake   time.Time
	why    string
	cause  Outcome

	withheld bool // why is the purse's, not the node's
}

// NewRenewal makes a renewal up to until (Unix seconds). A zero rset is each
// sliver's own.
func NewRenewal(record Record, until int64, rset lease.RSet, key lease.Signer, random io.Reader) (*Renewal, error) {
	if key.Principal() != record.Principal() {
		return nil, fmt.Errorf("renewing slice %s of %s with the key of %s: %w",
			record.Slice, record.Principal().Short(), key.Principal().Short(), ErrPlan)
	}
	r := &Renewal{record: record, until: until, rset: rset, key: key, random: random}
	for _, s := range record.Slivers {
		old, err := record.match(s)
		if err != nil {
			return nil, err
		}
		by, lost := s.redeem(old, record.Principal())
		r.parts = append(r.parts, &renewing{sliver: s, old: old, by: by, lost: lost})
	}
	return r, nil
}

// Bid is what the asks say to who allots their pools. It counts if it comes before
// the first Step.
func (r *Renewal) Bid(text string) { r.bid = text }

// Step takes Start, Drawn, Withheld, Held, Refused, Failed, Committed, CommitRefused, Abort and
// Tick.
func (r *Renewal) Step(now time.Time, in Input) []Effect {
	r.now, r.effects = now, nil
	switch in := in.(type) {
	case Start:
		r.start()
	case Drawn:
		r.drawn(in)
	case Held:
		r.hold(in)
	case Committed:
		r.lease(in)
	case Withheld:
		if p := r.part(in.Node); p != nil && p.state == drawing {
			p.state, p.cause, p.why, p.withheld = out, RefusedByOwner, in.Text, true
		}
	case Refused:
		r.fall(in.Node, RefusedByOwner, in.Refusal.Error(), asked)
	case CommitRefused:
		r.fall(in.Node, RefusedByOwner, in.Refusal.Error(), committing)
	case Failed:
		r.fall(in.Node, in.Trouble.outcome(), in.Text, drawing, asked, committing)
	case Abort:
		for _, p := range r.parts {
			r.fall(p.sliver.Node, Broken, "interrupted", drawing, asked, committing)
		}
	}
	for _, p := range r.parts {
		if !p.wake.IsZero() && !now.Before(p.wake) {
			r.fall(p.sliver.Node, TimedOut, "no answer", drawing, asked, committing)
		}
	}
	r.finish()
	return r.effects
}

// NextWake reports when Step must next be called with a Tick.
func (r *Renewal) NextWake() (at time.Time, ok bool) {
	for _, p := range r.parts {
		if (p.state == drawing || p.state == asked || p.state == committing) && (!ok || p.wake.Before(at)) {
			at, ok = p.wake, true
		}
	}
	return at, ok
}

func (r *Renewal) start() {
	if r.begun {
		return
	}
	r.begun = true
	for _, p := range r.parts {
		if err := r.ask(p); err != nil {
			p.state, p.cause, p.why = out, Broken, err.Error()
		}
	}
}

func (r *Renewal) ask(p *renewing) error {
	if p.lost != nil {
		return p.lost
	}
	var id lease.Request
	if _, err := io.ReadFull(r.random, id[:]); err != nil {
		return fmt.Errorf("choosing request id: %w", err)
	}
	rset := r.rset
	if rset.IsZero() {
		rset = p.old.RSet
	}
	if p.by != nil { // in the slot of the lease that it replaces, where it costs only what is more
		p.draw = DrawTicket{Node: p.sliver.Node, Wish: purse.Redeem{Ticket: p.by.Parent, Slot: int(p.by.Slot), RSet: rset,
			Term: lease.Term{From: r.now.Unix(), Until: r.until}, Slice: r.record.Slice, Request: id,
			Replaces: p.sliver.Lease, Ports: p.old.Ports, FanOut: p.old.FanOut, Owner: named(r.record.Owner, r.key.Principal())}}
		p.state, p.wake = drawing, r.now.Add(AskTimeout)
		r.effects = append(r.effects, p.draw)
		return nil
	}
	pool := p.old.Pool
	if pool == lease.PoolSharp { // another's ticket is behind it: ours is a wish of our own
		pool = lease.PoolCommons
	}
	signed, err := lease.Seal(&lease.Ask{K: lease.KindAsk, Issuer: r.key.Principal(), Node: p.sliver.Node, RSet: rset,
		From: r.now.Unix(), Until: r.until, Slice: r.record.Slice, Request: id, Replaces: p.sliver.Lease,
		Ports: p.old.Ports, Pool: pool, Class: p.old.Class, Weight: p.old.Weight, Alone: p.old.Alone, FanOut: p.old.FanOut, Bid: r.bid,
		Owner: named(r.record.Owner, r.key.Principal())}, r.key)
	if err != nil {
		return err
	}
	if p.ask, err = signed.Open(); err != nil {
		return err
	}
	p.state, p.wake = asked, r.now.Add(patience(r.bid))
	r.effects = append(r.effects, AskHold{Node: p.sliver.Node, Chain: [][]byte{signed.Bytes()}})
	return nil
}

func (r *Renewal) drawn(in Drawn) {
	p := r.part(in.Node)
	if p == nil || p.state != drawing {
		return
	}
	wish, err := in.wish(p.draw, r.key.Principal())
	if err != nil {
		r.fall(in.Node, Broken, err.Error(), drawing)
		return
	}
	p.ask, p.state, p.wake = wish, asked, r.now.Add(AskTimeout)
	r.effects = append(r.effects, AskHold(in))
}

func (r *Renewal) hold(in Held) {
	p := r.part(in.Node)
	if p == nil || p.state != asked { // a hold that comes late falls by the clock, and the old lease goes on
		return
	}
	o, err := lease.VerifyAnswer(p.ask, in.Hold)
	if err == nil && o.Kind() != lease.KindHold {
		err = fmt.Errorf("a %s where a hold belongs", o.Kind())
	}
	if err != nil {
		r.fall(in.Node, Broken, err.Error(), asked)
		return
	}
	p.state, p.hold, p.wake = committing, o.ID, r.now.Add(AskTimeout)
	r.effects = append(r.effects, CommitHold{Node: in.Node, Hold: o.ID})
}

// lease takes a lease also from a node that was given up: it is in force there.
func (r *Renewal) lease(in Committed) {
	p := r.part(in.Node)
	if p == nil || p.hold.IsZero() || p.state == running {
		return
	}
	o, err := lease.VerifyAnswer(p.ask, in.Lease)
	if err != nil {
		r.fall(in.Node, Broken, err.Error(), committing)
		return
	}
	l, ok := o.Statement.(*lease.Lease)
	if !ok || l.Hold != p.hold || sliverName(o.ID, l) != p.sliver.Sliver {
		r.fall(in.Node, Broken, "committed something else than its hold", committing)
		return
	}
	public := p.sliver.Public
	p.sliver = newSliver(Candidate{Node: p.sliver.Node, Name: p.sliver.Name, Addrs: p.sliver.Addrs}, p.ask, o, l)
	p.sliver.Public, p.state, p.why = public, running, ""
	r.effects = append(r.effects, Keep{Record: r.standing()}, Stage{Name: "renew", Got: r.renewed(), Want: len(r.parts)})
}

func (r *Renewal) fall(node lease.Principal, cause Outcome, why string, from ...state) {
	p := r.part(node)
	for _, s := range from {
		if p != nil && p.state == s {
			p.state, p.cause, p.why = out, cause, why
			return
		}
	}
}

func (r *Renewal) finish() {
	if !r.begun || r.over {
		return
	}
	done := Done{Outcome: OK, Record: r.standing()}
	for _, p := range r.parts {
		switch p.state {
		case drawing, asked, committing:
			return
		case out:
			done.Outcome = p.cause
			who := p.sliver.Name
			if p.withheld {
				who = OwnPurse
			}
			done.Why = append(done.Why, who+": "+p.why)
		}
	}
	r.over = true
	if n := r.renewed(); n > 0 && n < len(r.parts) {
		done.Outcome = Partial
	}
	r.effects = append(r.effects, done)
}

func (r *Renewal) renewed() (n int) {
	for _, p := range r.parts {
		if p.state == running {
			n++
		}
	}
	return n
}

// standing is the record as it stands.
func (r *Renewal) standing() Record {
	rec := Record{Slice: r.record.Slice, Owner: r.record.Owner, Actor: r.record.Actor, Slivers: []Sliver{}}
	for _, p := range r.parts {
		rec.Slivers = append(rec.Slivers, p.sliver)
	}
	return rec
}

func (r *Renewal) part(node lease.Principal) *renewing {
	for _, p := range r.parts {
		if p.sliver.Node == node {
			return p
		}
	}
	return nil
}
