// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"container/heap"
	"fmt"
	"time"
)

// LedgerConfig is what a ledger is told once. It is not in the facts: a ledger
// that is rebuilt with other pools keeps what was granted and judges what comes
// by the new ones.
type LedgerConfig struct {
	Key          Signer
	Pools        []PoolRule
	Ports        PortRange
	HoldFuse     int64       // seconds from hold to commit; 0 means 30
	ActivateFuse int64       // seconds from commit to activation; 0 means 60
	Grace        uint32      // seconds between a revoke and its effect, unless the mechanism has another
	Quarantine   int64       // seconds after a conflict's term for which its principal gets nothing new; 0 means a week
	Refused      []Principal // get nothing new

	// Most is what one lease may have of a resource, whatever its pool has: a
	// machine may give in pieces. A resource of which it says 0 is not bounded.
	Most RSet

	// FanOut is what a lease gives that states none, and the most that one may
	// state unless the capacity that it is drawn on states more; 0 is no limit.
	FanOut uint16

	// Bookings bounds the granted wishes that are kept, the ended ones until an
	// hour after their terms; 0 means DefaultBookings. Asks fill at most three
	// quarters, so that principals made up by the dozen cannot keep out a ticket's
	// holder.
	Bookings int

	Mechanisms []Mechanism // beside those that come with the ledger, or in their place
}

// Ledger is the node's reservation system: one calendar over the capacity of
// each pool, the tree of the claims on it, the life of every hold and lease, and the
// memory of every request. See the package's comment for the rules.
//
// It is a machine: Step is not safe for concurrent use, nor are queries during
// it.
type Ledger struct {
	cfg   LedgerConfig
	node  Principal
	pools map[Pool]*poolBook
	now   int64 // Unix seconds; never goes back
	bar   Reason

	bookings map[ID]*booking // by hold and by lease
	slivers  sliverBook
	requests map[requestKey]reply
	ports    portBook
	timers   timers

	claims    map[ID]*claimBook // capacities and tickets
	witnesses map[ID]*witness
	proofs    map[ID]*proofKept
	accused   map[Principal][]*proofKept
	guests    map[Principal]int // kept tickets of the node's own, by holder
	bearers   map[Principal]int // and of others
	given     int               // kept tickets of the node's own
	passedOn  int               // kept tickets of others

	mechanisms map[string]Mechanism
	joint      calendar   // of the sharp pool and of those that borrow from it
	evictables []*booking // live, in the order of their facts
	alone      []*booking // live, that nobody else's may overlap in their pool
	shareAt    int64      // when to divide what is idle anew; 0 is when something changes

	asked    int // kept bookings that came by asks
	kept     int // kept bookings in all
	refused  int // kept refusals of asks
	attached int // bytes that they attach
	holders  map[Principal]*account
	networks map[networkKey]*calendar
	refusals map[Principal]bool // by the owner's will
	owing    bool               // a pool owes more than its size: it was made smaller
	sequence uint64             // numbers kept things in the order of their facts
	facts    uint64

	out   []Effect
	stale bool // free capacity changed in this step
}

type poolBook struct {
	PoolRule
	load  calendar
	aside calendar // what capacities promise of a sharp pool
	lent  int      // bookings that were granted while the pool borrowed
	gone  bool     // no rule names the pool any more
}

// account is what the ledger counts for one principal.
type account struct {
	load    map[Pool]*calendar
	asked   int
	holds   int
	refused int
}

// requestKey: request ids are per principal and operation.
type requestKey struct {
	by  Principal
	op  Kind
	req Request
}

// reply is what a request was answered with: a booking, a refusal or a ticket.
type reply interface {
	same(asked ID) bool
	answer(ref uint64) Answer
}

// NewLedger returns an empty ledger.
func NewLedger(cfg LedgerConfig) *Ledger {
	if cfg.HoldFuse == 0 {
		cfg.HoldFuse = 30
	}
	if cfg.ActivateFuse == 0 {
		cfg.ActivateFuse = 60
	}
	if cfg.Bookings == 0 {
		cfg.Bookings = DefaultBookings
	}
	if cfg.Quarantine == 0 {
		cfg.Quarantine = 7 * 24 * 3600
	}
	cfg.Quarantine = min(cfg.Quarantine, MaxQuarantine)
	l := &Ledger{
		cfg:      cfg,
		node:     cfg.Key.Principal(),
		pools:    make(map[Pool]*poolBook),
		bookings: make(map[ID]*booking),
		slivers:  newSliverBook(),
		requests: make(map[requestKey]reply),
		ports:    newPortBook(cfg.Ports),
		holders:  make(map[Principal]*account),
		networks: make(map[networkKey]*calendar),

		claims:    make(map[ID]*claimBook),
		witnesses: make(map[ID]*witness),
		proofs:    make(map[ID]*proofKept),
		accused:   make(map[Principal][]*proofKept),
		guests:    make(map[Principal]int),
		bearers:   make(map[Principal]int),

		mechanisms: builtIn(),
	}
	for _, m := range cfg.Mechanisms {
		l.mechanisms[m.Name()] = m
	}
	l.settleRules()
	return l
}

// pool returns the book of a pool; of one that the configuration no longer has,
// an empty one, so that old leases are kept and new ones do not fit.
func (l *Ledger) pool(p Pool) *poolBook {
	b := l.pools[p]
	if b == nil {
		b = &poolBook{PoolRule: PoolRule{Pool: p}.bounded(), gone: true}
		l.pools[p] = b
	}
	return b
}

func (l *Ledger) account(p Principal) *account {
	a := l.holders[p]
	if a == nil {
		a = &account{load: make(map[Pool]*calendar)}
		l.holders[p] = a
	}
	return a
}

func (l *Ledger) settleAccount(p Principal) {
	if a := l.holders[p]; a != nil && len(a.load) == 0 && a.asked == 0 && a.holds == 0 && a.refused == 0 {
		delete(l.holders, p)
	}
}

// Step advances the ledger to now, applies one input and returns what its owner
// must do, as one batch. A now before the last stands still.
func (l *Ledger) Step(now time.Time, in Input) []Effect {
	l.now = max(l.now, now.Unix())
	l.out, l.stale = nil, false
	l.advance()
	switch in := in.(type) {
	case Wish:
		l.wish(in)
	case Commit:
		l.commit(in)
	case Activate:
		l.activate(in)
	case End:
		l.end(in)
	case Issue:
		l.issue(in)
	case Recall:
		l.recall(in)
	case Rules:
		l.rules(in)
	case Accuse:
		l.accuse(in)
	case Bar:
		l.bar = in.Reason
	case Gone:
		l.gone(in)
	case Recover:
		l.recover()
	case Tick:
	}
	l.advance() // what the input made due at once
	l.share()
	if l.stale {
		l.emit(Changed{})
	}
	out := l.out
	l.out = nil
	return out
}

// NextWake reports when Step must next be called with a Tick.
func (l *Ledger) NextWake() (time.Time, bool) {
	at := l.shareAt
	if len(l.timers) > 0 && (at == 0 || l.timers[0].clock().at < at) {
		at = l.timers[0].clock().at
	}
	if at == 0 {
		return time.Time{}, false
	}
	return time.Unix(at, 0).UTC(), true
}

// Restore applies one fact of the journal, in order, to a new ledger. It calls
// no signer, no policy and no randomness.
func (l *Ledger) Restore(f Fact) error {
	l.now = max(l.now, f.At)
	l.lapse()
	l.out = nil
	if err := l.apply(f); err != nil {
		return fmt.Errorf("restoring fact %s at %d: %w", f.K, f.At, err)
	}
	l.out, l.stale = nil, false
	return nil
}

// lapse forgets, while facts are taken back, what the ledger had forgotten when
// it decided the next one: forgetting is no fact, and what is forgotten (a
// request id, a tranche) may have been used anew. An end that is due is a fact
// and follows.
func (l *Ledger) lapse() {
	for len(l.timers) > 0 && l.timers[0].clock().at <= l.now {
		switch x := l.timers[0].(type) {
		case *booking:
			if !x.state.Live() {
				l.forgetBooking(x)
				continue
			}
			at := x.next(l.now)
			if at <= l.now {
				return
			}
			l.wake(x, at) // it began
		default:
			l.forget(x)
		}
	}
}

// forget drops what is kept for a time and never ends.
func (l *Ledger) forget(x timed) {
	switch x := x.(type) {
	case *refusalKept:
		l.forgetRefusal(x)
	case *claimBook:
		l.forgetClaim(x)
	case *witness:
		l.forgetWitness(x)
	case *proofKept:
		l.forgetProof(x)
	}
}

// decide makes a fact true and tells the owner.
func (l *Ledger) decide(f Fact) {
	f.At = l.now
	if err := l.apply(f); err != nil {
		panic(fmt.Sprintf("ledger decided what it cannot apply: %s: %v", f, err))
	}
	l.emit(f)
}

func (l *Ledger) emit(e Effect) { l.out = append(l.out, e) }

func (l *Ledger) answerRefusal(ref uint64, r *Refusal) { l.emit(Answer{Ref: ref, Refusal: r}) }

// sign seals a statement of the node.
func (l *Ledger) sign(st Statement) ([]byte, *Refusal) {
	s, err := Seal(st, l.cfg.Key)
	if err != nil {
		return nil, refuse(Local, ReasonInvalid, "%v", err)
	}
	return s.Bytes(), nil
}

// Everything kept has one instant at which the ledger must look at it again.
type timer struct {
	at    int64
	seq   uint64
	index int
}

type timed interface{ clock() *timer }

func (t *timer) clock() *timer { return t }

type timers []timed

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	a, b := t[i].clock(), t[j].clock()
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].clock().index, t[j].clock().index = i, j
}
func (t *timers) Push(x any) {
	x.(timed).clock().index = len(*t)
	*t = append(*t, x.(timed))
}
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}

// keep numbers a new thing and sets its timer.
func (l *Ledger) keep(x timed, at int64) {
	l.sequence++
	x.clock().at, x.clock().seq = at, l.sequence
	heap.Push(&l.timers, x)
}

func (l *Ledger) wake(x timed, at int64) {
	if t := x.clock(); t.at != at {
		t.at = at
		heap.Fix(&l.timers, t.index)
	}
}

// advance does everything that is due, in the order in which it fell due.
func (l *Ledger) advance() {
	for len(l.timers) > 0 && l.timers[0].clock().at <= l.now {
		switch x := l.timers[0].(type) {
		case *booking:
			l.due(x)
		default:
			l.forget(x)
		}
	}
}
