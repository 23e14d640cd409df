// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/purse"
)

// Why a wish is not granted.
var (
	ErrNobody     = errors.New("this agent does not know you")
	ErrMost       = errors.New("more than you may have at once")
	ErrLongest    = errors.New("longer than you may have it")
	ErrNothing    = errors.New("no ticket that is held has as much left")
	ErrQuarantine = errors.New("is proved to have broken a promise, and gets nothing for now")
	ErrBusy       = errors.New("too many wishes at once")
)

// Book is what the agent reads in: a purse of its key.
type Book interface{ Held() []purse.Held }

// Agent is the machine.
type Agent struct {
	cfg     Config
	book    Book
	account Account

	sources   map[lease.Principal]*source
	shunned   map[lease.Principal]int64     // principal → Unix seconds
	avoid     map[lease.Principal]time.Time // node → until when it is asked last
	delivered map[lease.ID]bool
	pending   map[uint64]*task
	last      uint64    // ref of the newest task
	passAt    time.Time // when to see again what can be passed on
	now       time.Time
	out       []Effect
}

// source is a node that gives us tickets.
type source struct {
	due    time.Time
	asked  bool
	misses int
}

// task is something that the purse was asked to do.
type task struct {
	keep bool         // of a ticket that came
	wish *Wish        // of a person
	rest []purse.Give // further tickets to try for the wish
	to   lease.Principal
}

// New returns an agent with the account that it had.
func New(cfg Config, book Book, account Account) *Agent {
	a := &Agent{cfg: cfg, book: book, account: account, sources: map[lease.Principal]*source{},
		shunned: map[lease.Principal]int64{}, avoid: map[lease.Principal]time.Time{},
		delivered: map[lease.ID]bool{}, pending: map[uint64]*task{}}
	for _, n := range cfg.sources() {
		a.sources[n] = &source{}
	}
	return a
}

// Account returns a copy of the account as it is now.
func (a *Agent) Account() Account { return a.account.clone() }

// Step advances the agent to now and applies one input.
func (a *Agent) Step(now time.Time, in Input) []Effect {
	a.now, a.out = now, nil
	switch in := in.(type) {
	case Came:
		a.came(in)
	case Failed:
		a.failed(in)
	case Wish:
		a.wish(in)
	case Signed:
		a.signed(in)
	case Declined:
		a.declined(in)
	case Complaint:
		a.complaint(in)
	case Proved:
		a.proved(in)
	}
	a.fetch()
	a.pass()
	return a.out
}

// NextWake reports when Step must next be called with a Tick.
func (a *Agent) NextWake() (time.Time, bool) {
	wake := a.now.Add(look)
	for _, s := range a.sources {
		if !s.asked && s.due.Before(wake) {
			wake = s.due
		}
	}
	if a.passAt.Before(wake) {
		wake = a.passAt
	}
	return wake, true
}

func (a *Agent) emit(e Effect) { a.out = append(a.out, e) }

// sign has the purse asked.
func (a *Agent) sign(t *task, in func(ref uint64) purse.Input) {
	a.last++
	a.pending[a.last] = t
	a.emit(Sign{Ref: a.last, In: in(a.last)})
}

func (a *Agent) fetch() {
	for _, n := range a.cfg.sources() {
		if s := a.sources[n]; !s.asked && !a.now.Before(s.due) {
			s.asked = true
			a.emit(Fetch{Node: n})
		}
	}
}

func (a *Agent) came(in Came) {
	if s := a.sources[in.From]; s != nil {
		*s = source{due: a.now.Add(FetchEvery)}
	}
	held := map[lease.ID]bool{}
	for _, h := range a.book.Held() {
		held[h.ID] = true
	}
	for _, chain := range in.Chains[:min(len(in.Chains), MaxChains)] {
		if len(chain) == 0 {
			continue
		}
		o, err := lease.Open(chain[len(chain)-1])
		if err != nil || held[o.ID] {
			continue
		}
		a.sign(&task{keep: true}, func(ref uint64) purse.Input { return purse.Keep{Ref: ref, Chain: chain} })
	}
}

func (a *Agent) failed(in Failed) {
	s := a.sources[in.From]
	if s == nil {
		return
	}
	s.asked = false
	s.misses++
	s.due = a.now.Add(min(FetchEvery<<min(s.misses-1, 4), FetchLongest))
	name, who := a.cfg.owner(in.From)
	a.account.party(name, who).Silent++
	a.emit(Accounted{})
}

func (a *Agent) signed(in Signed) {
	t := a.pending[in.Ref]
	delete(a.pending, in.Ref)
	if t == nil || len(in.Chain) == 0 {
		return
	}
	o, err := lease.Open(in.Chain[len(in.Chain)-1])
	if err != nil {
		return // of our own purse
	}
	ticket, ok := o.Statement.(*lease.Ticket)
	if !ok {
		return
	}
	first := a.account.count(o.ID, ticket.Until)
	switch {
	case t.keep:
		a.passAt = a.now // there is more to pass on
		if name, who := a.cfg.giver(ticket); first {
			a.account.party(name, who).Taken.add(ticket.RSet, ticket.Term())
		}
	case t.wish != nil:
		if p := a.cfg.person(t.to); first {
			a.account.party(p.Name, p.Principal).Given.add(ticket.RSet, ticket.Term())
		}
		a.emit(Answer{Ref: t.wish.Ref, Chain: in.Chain})
	default:
		if first {
			a.account.party(a.peer(t.to).Name, t.to).Given.add(ticket.RSet, ticket.Term())
		}
		a.delivered[o.ID] = true
		a.emit(Deliver{To: t.to, Chain: in.Chain})
	}
	a.account.forget(a.now.Unix())
	a.emit(Accounted{})
}

func (a *Agent) peer(who lease.Principal) Peer {
	for _, p := range a.cfg.Peers {
		if p.Principal == who {
			return p
		}
	}
	return Peer{Name: who.Short(), Principal: who}
}

func (a *Agent) declined(in Declined) {
	t := a.pending[in.Ref]
	delete(a.pending, in.Ref)
	switch {
	case t == nil || t.wish == nil:
	case len(t.rest) > 0:
		a.try(t)
	default:
		a.refuse(*t.wish, fmt.Errorf("%w: %w", ErrNothing, in.Why))
	}
}

// complaint notes that a node refused what we had promised on it.
func (a *Agent) complaint(in Complaint) {
	if a.sources[in.Node] == nil && !a.holds(in.Node) {
		return
	}
	a.avoid[in.Node] = a.now.Add(Avoid)
	name, who := a.cfg.owner(in.Node)
	a.account.party(name, who).Refusals++
	a.emit(Accounted{})
}

func (a *Agent) holds(node lease.Principal) bool {
	return slices.ContainsFunc(a.book.Held(), func(h purse.Held) bool { return h.Node == node })
}

func (a *Agent) proved(in Proved) {
	a.shunned[in.Principal] = max(a.shunned[in.Principal], in.Until)
	if !a.account.blame(in.ID) {
		return
	}
	name, who := a.peer(in.Principal).Name, in.Principal
	if n, owner := a.cfg.owner(in.Principal); a.sources[in.Principal] != nil {
		name, who = n, owner
	}
	a.account.party(name, who).Conflicts++
	a.emit(Accounted{})
}

// barred reports whether a principal gets nothing.
func (a *Agent) barred(who lease.Principal) bool { return a.now.Unix() < a.shunned[who] }
