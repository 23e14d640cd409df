// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
)

// slack is how late the node may be on a loaded machine before that is a breach:
// what it was is told all the same.
const slack = 10 * time.Second

// promise is what the node signed for one wish, as its holder knows it. The
// book's lock guards all of it.
type promise struct {
	by    *holder
	pool  lease.Pool
	slice string
	rset  lease.RSet
	term  lease.Term
	lead  int64    // seconds by which it may begin late
	chain [][]byte // the wish, under its ticket
	soft  bool     // evictable
	alone bool
	old   *promise // whose sliver it continues
	heirs []*promise

	hold   lease.Opened
	until  int64 // of the hold: commit_by
	lease  lease.Opened
	fuse   int64     // of the lease: activate_by, 0 when it is active
	heldAt time.Time // when the hold was in hand
	hadAt  time.Time // when the lease was

	committing bool      // a commit is under way
	ending     time.Time // when a close or revoke was first sent
	endFrom    int64     // from when on it may have ended by that, Unix seconds
	endedAt    time.Time // by when it certainly had ended, before its term; zero: not
	bound      time.Time // last seen in force in the books
}

// span is when p certainly takes room, as things stand at the instant now. All
// that is in doubt, such as what an answer under way may change, counts as none.
func (p *promise) span(now time.Time) (t lease.Term, ok bool) {
	t, at := p.term, now.Unix()
	switch {
	case p.hold.Statement == nil, !p.endedAt.IsZero():
		return t, false
	case p.lease.Statement == nil && at >= p.until:
		return t, false
	case p.lease.Statement != nil && p.fuse != 0 && at >= p.fuse:
		return t, false
	case p.old != nil && !p.old.ending.IsZero() && (p.hadAt.IsZero() || p.hadAt.After(p.old.ending) || p.term.From > p.old.ending.Unix()):
		return t, false // called off with what it was to continue
	}
	if !p.ending.IsZero() {
		t.Until = min(t.Until, p.endFrom)
	}
	for _, h := range p.heirs {
		if h.committing || h.lease.Statement != nil {
			t.Until = min(t.Until, h.term.From)
		}
	}
	return t, t.From < t.Until && at < t.Until
}

// over is when p's sliver must be gone at the latest by p, and whether it was an
// end before its term.
func (p *promise) over() (at time.Time, early bool) {
	at = time.Unix(p.term.Until, 0)
	for _, h := range p.heirs {
		if from := time.Unix(h.term.From, 0); h.lease.Statement != nil && from.Before(at) && (h.endedAt.IsZero() || h.endedAt.After(from)) {
			at = from
		}
	}
	if !p.endedAt.IsZero() && p.endedAt.Before(at) {
		return p.endedAt, true
	}
	if o := p.old; o != nil && !o.endedAt.IsZero() && time.Unix(p.term.From, 0).After(o.endedAt) {
		return o.endedAt, true
	}
	return at, false
}

// first is the promise that began the sliver.
func (p *promise) first() *promise {
	for p.old != nil {
		p = p.old
	}
	return p
}

// book is what all holders together have in hand, held against what the node
// has. It adds up signed statements and knows nothing of the ledger's calendar.
type book struct {
	mu       sync.Mutex
	pools    map[lease.Pool]api.PoolCalendar
	promises []*promise
	slivers  map[string][]*promise

	count      map[string]int
	late       map[string]time.Duration // the longest
	violations []string
}

func newBook() *book {
	return &book{pools: map[lease.Pool]api.PoolCalendar{}, slivers: map[string][]*promise{}, count: map[string]int{}, late: map[string]time.Duration{}}
}

func (b *book) do(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *book) add(what string) { b.do(func() { b.count[what]++ }) }

// breach is called with the lock held.
func (b *book) breach(format string, args ...any) {
	b.count["violations"]++
	if len(b.violations) < 50 {
		b.violations = append(b.violations, fmt.Sprintf("%s: ", time.Now().UTC().Format("15:04:05.000"))+fmt.Sprintf(format, args...))
	}
}

func (b *book) fault(format string, args ...any) { b.do(func() { b.breach(format, args...) }) }

// delay takes to account how late something was.
func (b *book) delay(what string, d, allowed time.Duration, of string) {
	if d > allowed {
		b.count[what+" late"]++
	}
	if d > b.late[what] {
		if d > slack && b.late[what] <= slack {
			b.breach("%s: %s late: %s", of, d.Round(time.Millisecond), what)
		}
		b.late[what] = d
	}
}

// holds takes a hold that came in answer to a wish.
func (b *book) holds(p *promise, o lease.Opened) {
	b.do(func() {
		h := o.Statement.(*lease.Hold)
		p.hold, p.until, p.heldAt = o, h.CommitBy, time.Now()
		b.promises = append(b.promises, p)
		if p.old != nil {
			p.old.heirs = append(p.old.heirs, p)
		}
		b.count["holds"]++
		b.sum(p.pool, time.Now())
	})
}

// leases takes a lease that came in answer to a commit.
func (b *book) leases(p *promise, o lease.Opened) {
	b.do(func() {
		l := o.Statement.(*lease.Lease)
		p.lease, p.fuse, p.hadAt, p.committing = o, l.ActivateBy, time.Now(), false
		name := l.SliverOf(o.ID)
		b.slivers[name] = append(b.slivers[name], p)
		b.count["lease "+l.Mechanism]++
		if (l.RSet != p.rset) || l.Term() != p.term || l.Pool != p.pool {
			b.breach("lease %s is not what was held", o.ID.Short())
		}
		b.sum(p.pool, time.Now())
	})
}

// sum holds what is signed in one pool against its capacity, at every instant to
// come. What share has is looked at with what it borrows, in compare.
func (b *book) sum(pool lease.Pool, now time.Time) {
	if pool == lease.PoolShare {
		return
	}
	var live []part
	for _, p := range b.promises {
		if p.pool != pool {
			continue
		}
		if t, ok := p.span(now); ok {
			t.From += p.lead
			live = append(live, part{p, t})
		}
	}
	b.within(string(pool), live, b.pools[pool].Capacity, now)
}

// part is when a promise takes room.
type part struct {
	*promise
	lease.Term
}

// within adds up, at each instant at which one of the parts begins. A sliver's
// lease and the one that is to replace it take the more of the two, resource by
// resource.
func (b *book) within(what string, live []part, capacity lease.RSet, now time.Time) {
	b.count["sums"]++
	for _, x := range live {
		at := max(x.Term.From, now.Unix())
		slivers := map[*promise]lease.RSet{}
		for _, y := range live {
			if !y.Covers(at) {
				continue
			}
			takes := y.rset
			switch {
			case y.soft:
				for _, r := range elastic {
					takes[r] = 0
				}
			case y.alone:
				takes = takes.Max(b.pools[y.pool].Capacity)
			}
			slivers[y.first()] = slivers[y.first()].Max(takes)
		}
		var sum lease.RSet
		for _, takes := range slivers {
			sum = sum.Plus(takes)
		}
		if r, over := sum.Exceeds(capacity); over {
			b.breach("pool %s at %d: %s=%s is signed of %s, in %d slivers", what, at, r, r.Format(sum[r]), r.Format(capacity[r]), len(slivers))
			return
		}
	}
}

// elastic is what evictable leases divide instead of having it.
var elastic = []lease.Resource{lease.CPU, lease.IO, lease.EgressRate, lease.IngressRate, lease.EgressPackets, lease.IngressPackets}

// claimKey finds a promise in the node's books, where a hold has no id.
type claimKey struct {
	slice string
	term  lease.Term
	rset  lease.RSet
}

// compare holds the node's books, asked for after the instant before, against
// what is in hand: nothing that was signed is missing, nothing that has ended is
// there.
func (b *book) compare(before time.Time, cal api.Calendar, notice time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	after := time.Now()
	byID, byKey := map[lease.ID]api.Claim{}, map[claimKey]api.Claim{}
	for _, pool := range cal.Pools {
		for _, c := range pool.Claims {
			byKey[claimKey{c.Slice, lease.Term{From: c.From, Until: c.Until}, c.RSet}] = c
			if !c.Lease.IsZero() {
				byID[c.Lease] = c
			}
		}
		for _, l := range pool.Levels {
			if r, over := l.Load.Exceeds(pool.Capacity); over && !pool.Borrow {
				b.breach("the books of pool %s have %s=%s of %s at %d", pool.Pool, r, r.Format(l.Load[r]), r.Format(pool.Capacity[r]), l.At)
			}
		}
	}
	b.count["compared"]++
	var joint []part
	for _, p := range b.promises {
		c, there := byID[p.lease.ID]
		if p.lease.Statement == nil {
			c, there = byKey[claimKey{p.slice, p.term, p.rset}]
		}
		b.overdue(p, c, there, before)
		t, ok := p.span(after)
		if !ok || p.heldAt.After(before) || p.hadAt.After(before) {
			continue
		}
		switch gone := !there || c.State == "closing"; {
		case gone && (p.soft || p.old != nil && p.old.soft):
			b.evicted(p, c, there, before, after, notice)
		case gone:
			b.breach("%s of slice %s in pool %s, signed and in force for %s, is missing in the books or closing", p.what(), p.slice, p.pool, t)
		case c.RSet != p.rset || c.From != p.term.From || c.Until < t.Until || c.Until > p.term.Until:
			b.breach("%s of slice %s is %s %d to %d in the books, signed was %s %d to %d", p.what(), p.slice, c.RSet, c.From, c.Until, p.rset, p.term.From, p.term.Until)
		default:
			p.bound = before
			if p.pool == lease.PoolShare || p.pool == lease.PoolSharp {
				t.From = max(t.From, c.Starts)
				joint = append(joint, part{p, t})
			}
		}
	}
	all := b.pools[lease.PoolShare].Capacity.Plus(b.pools[lease.PoolSharp].Capacity)
	b.within("sharp and share", joint, all, after)
}

// overdue looks for what should not be in the books any more.
func (b *book) overdue(p *promise, c api.Claim, there bool, before time.Time) {
	if !there {
		return
	}
	of := p.what() + " of slice " + p.slice
	if c.State == "held" && p.lease.Statement == nil {
		b.delay("holds fall", before.Sub(time.Unix(p.until, 0)), time.Second, of)
	}
	if end, early := p.over(); c.State != "held" {
		if early && c.State != "closing" && before.Sub(end) > slack {
			b.breach("%s ended at %s and is %s in the books", of, end.UTC().Format(time.TimeOnly), c.State)
		}
		b.delay("leases end", before.Sub(end), time.Second, of)
	}
}

// evicted takes to account that an evictable lease went for a ticket. It has had
// its notice: since it was last seen in force that much has passed.
func (b *book) evicted(p *promise, c api.Claim, there bool, before, after time.Time, notice time.Duration) {
	if p.ending.IsZero() {
		b.count["evictions"]++
		p.ending, p.endFrom = p.bound, p.bound.Unix()
		if p.ending.IsZero() {
			p.ending, p.endFrom = p.heldAt, p.heldAt.Unix()
		}
		if p.old == nil && p.lease.Statement != nil && !there && !p.bound.IsZero() && after.Sub(p.bound) < notice-time.Second {
			b.breach("evictable lease of slice %s was in force %s ago and is gone: its notice is %s", p.slice, after.Sub(p.bound), notice)
		}
	}
	if !there {
		p.endedAt = after
	}
}

func (p *promise) what() string {
	if p.lease.Statement != nil {
		return "lease " + p.lease.ID.Short()
	}
	return "hold " + p.hold.ID.Short()
}

// ran looks at a sliver that has processes at an instant. ready is when the
// daemon last came up, or zero while it is down: an end before its term is
// brought about by the daemon, the term's by the warden alone.
func (b *book) ran(sliver string, at, ready time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.slivers[sliver]
	if len(list) == 0 {
		b.breach("sliver %s has processes, and nobody holds its lease", sliver)
		return
	}
	var last time.Time
	var cut bool
	for _, p := range list {
		if end, early := p.over(); end.After(last) {
			last, cut = end, early
		}
	}
	if cut {
		if ready.IsZero() {
			return
		}
		if ready.After(last) {
			last = ready
		}
	}
	if d := at.Sub(last); d > 0 {
		b.delay("processes go", d, 2*time.Second, "sliver "+sliver+" of slice "+list[0].slice)
	}
}

// ends takes to account that p has ended, or will by an instant.
func (b *book) ends(p *promise, by time.Time) {
	b.do(func() {
		if p.endedAt.IsZero() || by.Before(p.endedAt) {
			p.endedAt = by
		}
	})
}

// ending says that a close or revoke goes out, which takes effect at the earliest
// at an instant.
func (b *book) ending(p *promise, from int64) {
	b.do(func() {
		if p.ending.IsZero() || from < p.endFrom {
			p.endFrom = from
		}
		if p.ending.IsZero() {
			p.ending = time.Now()
		}
	})
}

// open lists what may still be in force.
func (b *book) open(now time.Time) (list []*promise) {
	b.do(func() {
		for _, p := range b.promises {
			if _, ok := p.span(now); ok {
				list = append(list, p)
			}
		}
	})
	return list
}

// line is what has happened so far.
func (b *book) line() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var parts, refused []string
	for _, what := range []string{"wishes", "holds", "lease gang", "lease share", "lease calendar", "lease sharp", "renewals", "activations", "closes",
		"revokes", "gives", "repeats", "borne out", "evictions", "kills", "sums", "compared", "violations"} {
		parts = append(parts, fmt.Sprintf("%s %d", what, b.count[what]))
	}
	for _, code := range slices.Sorted(maps.Keys(b.count)) {
		if name, ok := strings.CutPrefix(code, "refused "); ok {
			refused = append(refused, fmt.Sprintf("%s %d", name, b.count[code]))
		}
	}
	parts = append(parts, "refused: "+strings.Join(refused, " "))
	for _, what := range slices.Sorted(maps.Keys(b.late)) {
		parts = append(parts, fmt.Sprintf("%s at most %s late, %d times later than meant", what, b.late[what].Round(10*time.Millisecond), b.count[what+" late"]))
	}
	return strings.Join(parts, ", ")
}
