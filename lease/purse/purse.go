// SPDX-License-Identifier: Apache-2.0

// Package purse is the book of everything that a principal issues under its
// tickets: redeems, and tickets that pass a part on.
//
// Whoever issues must know what it issued: two tickets in one slot, or more in
// all slots than the ticket holds, are a conflict that anybody can prove. A
// Purse keeps the tickets that its owner holds, takes a slot for each child, and
// holds the weights of the slots within the ticket's budget at every instant:
//
//	child    weighs                                    in its slot, at one instant
//	ticket   rset × degree                             it stands alone
//	redeem   rset × 100, the most of all in the slot   any number of redeems, no ticket
//
// It is a machine: a Step returns one batch of effects, and its owner makes the
// facts in it durable before it releases anything. So whatever was ever seen is
// in the book, whenever the power fails.
//
//	for _, e := range p.Step(now, purse.Redeem{Ticket: id, RSet: r, Term: t, Slice: "web", Request: q}) {
//		switch e := e.(type) {
//		case purse.Fact:    // append e.Record() to the journal and make it durable
//		case purse.Release: // send e.Chain to the node
//		case purse.Refuse:  // e.Err says which rule
//		}
//	}
//
// The same request again returns the stored bytes. Signed children weigh to the
// end of their terms, whatever became of them: there is no return. The book has
// a floor in time: it forgets only what ended before, and signs nothing that
// begins before. One that was put back from a copy does not know all that it
// signed; told so with [Restored], it signs only redeems that lie within one of
// its own. A Purse is not safe for concurrent use.
package purse

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"croft/lease"
)

// Purse is the book of one principal.
type Purse struct {
	key      lease.Signer
	now      int64 // Unix seconds; never goes back
	floor    int64
	restored int64     // when the book was found to be a copy; 0: it is not
	tickets  []*ticket // in the order in which they came, a child after its parent
	requests map[request]*child
	cache    *lease.Cache // of what tickets share: a capacity, the tickets of one hand
	out      []Effect
}

// request is what must not be used twice: an id for one operation.
type request struct {
	kind lease.Kind // of what is signed
	id   lease.Request
}

type ticket struct {
	*lease.Ticket
	id       lease.ID
	chain    lease.Chain
	own      bool     // signed by this purse under another of its tickets
	children []*child // in the order in which they were signed
}

// New returns an empty purse of the key's principal.
func New(key lease.Signer) *Purse {
	return &Purse{key: key, requests: make(map[request]*child), cache: lease.NewCache(MaxPrefixes)}
}

// Step advances the purse to now, applies one input and returns what its owner
// must do, as one batch. A now before the last stands still.
func (p *Purse) Step(now time.Time, in Input) []Effect {
	p.now, p.out = max(p.now, now.Unix()), nil
	p.forget()
	var ref uint64
	var err error
	switch in := in.(type) {
	case Keep:
		ref, err = in.Ref, p.keep(in)
	case Redeem:
		ref, err = in.Ref, p.redeem(in)
	case Give:
		ref, err = in.Ref, p.give(in)
	case Restored:
		p.decide(Fact{K: FactRestored, At: p.now})
		p.out = append(p.out, Release{Ref: in.Ref})
	case Moved:
		p.decide(Fact{K: FactMoved, At: p.now})
		p.out = append(p.out, Release{Ref: in.Ref})
	case Tick:
	}
	if err != nil {
		p.out = append(p.out, Refuse{Ref: ref, Err: err})
	}
	return p.out
}

// NextWake reports when Step must next be called with a Tick.
func (p *Purse) NextWake() (time.Time, bool) {
	at := p.forgettable()
	return time.Unix(at, 0).UTC(), at != never
}

// Restore applies one fact of the journal, in order, to a new purse.
func (p *Purse) Restore(f Fact) error {
	if err := p.apply(f); err != nil {
		return fmt.Errorf("restoring %s: %w", f, err)
	}
	return nil
}

// Facts returns facts that make a purse like this one: for a snapshot.
func (p *Purse) Facts() []Fact {
	facts := []Fact{{K: FactFloor, At: p.floor}}
	if p.restored != 0 {
		facts = append(facts, Fact{K: FactRestored, At: p.restored})
	}
	for _, t := range p.tickets {
		if !t.own {
			facts = append(facts, Fact{K: FactKept, Statements: t.chain.Bytes()})
		}
		for _, c := range t.children {
			facts = append(facts, c.fact())
		}
	}
	return facts
}

func (p *Purse) keep(in Keep) error {
	t, err := p.open(in.Chain)
	if err != nil {
		return err
	}
	if p.ticket(t.id) == nil { // else kept before: nothing to decide
		switch {
		case len(p.tickets) >= MaxTickets:
			return fmt.Errorf("%d tickets, limit %d: %w", len(p.tickets), MaxTickets, ErrFull)
		case t.Until <= max(p.now, p.floor):
			return fmt.Errorf("ticket %s of %s: %w", t.id.Short(), t.Term(), ErrEnded)
		}
		p.decide(Fact{K: FactKept, Statements: in.Chain})
	}
	p.out = append(p.out, Release{Ref: in.Ref, Chain: in.Chain})
	return nil
}

// open verifies a chain that ends in a ticket of the purse's owner.
func (p *Purse) open(path [][]byte) (*ticket, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("empty: %w", lease.ErrChain)
	}
	root, err := lease.Open(path[0])
	if err != nil {
		return nil, err
	}
	chain, err := p.cache.VerifyChain(path, root.By())
	if err != nil {
		return nil, err
	}
	st, ok := chain.Leaf().Statement.(*lease.Ticket)
	if !ok {
		return nil, fmt.Errorf("%s where a ticket belongs: %w", chain.Leaf().Kind(), lease.ErrKind)
	}
	if own := p.key.Principal(); st.Holder != own {
		return nil, fmt.Errorf("ticket is held by %s, this purse is of %s: %w", st.Holder.Short(), own.Short(), lease.ErrNotHolder)
	}
	return &ticket{Ticket: st, id: chain.Leaf().ID, chain: chain}, nil
}

func (p *Purse) redeem(in Redeem) error {
	q := request{lease.KindRedeem, in.Request}
	if c := p.requests[q]; c != nil {
		return p.again(in.Ref, c, in.wishes(c))
	}
	t := p.ticket(in.Ticket)
	if t == nil {
		return fmt.Errorf("ticket %s: %w", in.Ticket.Short(), ErrUnknown)
	}
	fanOut, err := t.spread(in.FanOut)
	if err != nil {
		return fmt.Errorf("redeeming ticket %s: %w", t.id.Short(), err)
	}
	slot, err := p.admit(t, wish{in.Slot, in.RSet, in.Term, 0})
	if err != nil {
		return fmt.Errorf("redeeming ticket %s: %w", t.id.Short(), err)
	}
	return p.seal(in.Ref, q, &lease.Redeem{K: lease.KindRedeem, Issuer: t.Holder, Node: t.Node, RSet: in.RSet,
		From: in.Term.From, Until: in.Term.Until, Parent: t.id, Slot: slot, Slice: in.Slice,
		Request: in.Request, Replaces: in.Replaces, Ports: in.Ports, Owner: in.Owner, FanOut: fanOut})
}

func (p *Purse) give(in Give) error {
	q := request{lease.KindTicket, in.Request}
	if c := p.requests[q]; c != nil {
		return p.again(in.Ref, c, in.wishes(c))
	}
	t := p.ticket(in.Ticket)
	if t == nil {
		return fmt.Errorf("ticket %s: %w", in.Ticket.Short(), ErrUnknown)
	}
	if in.Holder == p.key.Principal() && len(p.tickets) >= MaxTickets {
		return fmt.Errorf("%d tickets, limit %d: %w", len(p.tickets), MaxTickets, ErrFull)
	}
	if in.Degree < lease.MinDegree { // one below would count for less than can be drawn
		return fmt.Errorf("degree %d, at least %d: %w", in.Degree, lease.MinDegree, lease.ErrDegree)
	}
	fanOut, err := t.spread(in.FanOut)
	if err != nil {
		return fmt.Errorf("giving of ticket %s: %w", t.id.Short(), err)
	}
	slot, err := p.admit(t, wish{in.Slot, in.RSet, in.Term, in.Degree})
	if err != nil {
		return fmt.Errorf("giving of ticket %s: %w", t.id.Short(), err)
	}
	return p.seal(in.Ref, q, &lease.Ticket{K: lease.KindTicket, Issuer: t.Holder, Node: t.Node, RSet: in.RSet,
		From: in.Term.From, Until: in.Term.Until, Degree: in.Degree, Holder: in.Holder, Parent: t.id, Slot: slot, FanOut: fanOut})
}

// spread is the fan-out of a child that wishes so much: at most the ticket's, and
// the ticket's where it wishes none (rule C10 of docs/protocol/claims.md).
func (t *ticket) spread(wish uint16) (uint16, error) {
	if t.FanOut != 0 && wish > t.FanOut {
		return 0, fmt.Errorf("fan-out %d of %d: %w", wish, t.FanOut, lease.ErrExceeds)
	}
	return cmp.Or(wish, t.FanOut), nil
}

// again answers a request that was made before.
func (p *Purse) again(ref uint64, c *child, same bool) error {
	if !same {
		return fmt.Errorf("request %x: %w", c.request.id[:4], ErrRequest)
	}
	p.release(ref, c)
	return nil
}

// seal signs what was admitted, writes it down and only then hands it out.
func (p *Purse) seal(ref uint64, q request, st lease.Statement) error {
	signed, err := lease.Seal(st, p.key)
	if err != nil {
		return err
	}
	f := Fact{K: FactSigned, Statements: [][]byte{signed.Bytes()}}
	if q.kind == lease.KindTicket {
		f.Request = q.id
	}
	p.decide(f)
	p.release(ref, p.requests[q])
	return nil
}

func (p *Purse) release(ref uint64, c *child) {
	p.out = append(p.out, Release{Ref: ref, Slot: c.slot, Chain: append(c.of.chain.Bytes(), c.bytes)})
}

func (p *Purse) ticket(id lease.ID) *ticket {
	i := slices.IndexFunc(p.tickets, func(t *ticket) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return p.tickets[i]
}

// decide applies a fact of this purse's own making, which therefore fits.
func (p *Purse) decide(f Fact) {
	if err := p.apply(f); err != nil {
		panic(fmt.Sprintf("purse: own fact %s: %v", f, err))
	}
	p.out = append(p.out, f)
}
